//! That both queues of a ring run over where they are small, by the kernel's own account, and nothing is lost by it.
//!
//! One test: it looks for the ring of its process.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Config, Kind, Op};
use std::fs;
use std::io::Write;

/// What the kernel tells of this process's ring.
fn ring() -> String {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_ring =
        |link: &fs::DirEntry| fs::read_link(link.path()).is_ok_and(|to| to.ends_with("anon_inode:[io_uring]"));
    let number = links.into_iter().find(is_ring).unwrap().file_name().into_string().unwrap();
    fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap()
}

/// One of its numbers.
fn number(ring: &str, name: &str) -> usize {
    let line =
        ring.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} is not in {ring}"));
    line.trim().parse().unwrap()
}

/// How many completions wait for room in the queue.
fn run_over(ring: &str) -> usize {
    let list = ring.split_once("CqOverflowList:").unwrap_or_else(|| panic!("no list in {ring}")).1;
    list.lines().filter(|line| line.trim_start().starts_with("user_data=")).count()
}

#[test]
fn queues_that_run_over_lose_nothing() {
    const OPERATIONS: usize = 200;
    for entries in [1, 2] {
        let mut l = Loop::with(Config { entries, ..config(Kind::Uring) });
        let pairs: Vec<_> = (0..OPERATIONS).map(|_| unix_pair()).collect();
        let mut bufs = vec![[0_u8; 1]; OPERATIONS];
        let tokens: Vec<_> = pairs.iter().zip(&mut bufs).map(|((a, _), buf)| l.submit(recv(a, buf))).collect();
        // Nobody has waited, and all of them but what fits were handed over for want of room.
        assert_eq!(number(&ring(), "SqTail:"), OPERATIONS);
        assert!(number(&ring(), "SqHead:") >= OPERATIONS - entries as usize);
        l.settle();
        for (index, (_, b)) in pairs.iter().enumerate() {
            let mut b = b;
            b.write_all(&[index as u8]).unwrap();
        }
        for token in tokens {
            assert_eq!(l.result(token), 1);
        }
        assert!(bufs.iter().enumerate().all(|(index, buf)| *buf == [index as u8]));
        // What completes at once completes while it is handed over, and nobody has taken anything out.
        let tokens: Vec<_> = (0..OPERATIONS).map(|_| l.submit(Op::Nop)).collect();
        assert!(run_over(&ring()) > 0, "the completion queue has not run over");
        for token in tokens {
            assert_eq!(l.result(token), 0);
        }
        l.assert_idle();
    }
}
