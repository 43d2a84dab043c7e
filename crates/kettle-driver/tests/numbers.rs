//! A descriptor is a number, and numbers are used again: closed here or elsewhere, duplicated, given away and taken back.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::Kind;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

on_both! {
    a_number_is_used_again_after_close
    a_number_that_was_closed_elsewhere_is_used_again
    a_number_that_was_closed_elsewhere_is_used_again_under_load
    a_number_that_was_closed_elsewhere_comes_back_by_accept
    a_duplicate_keeps_events_of_a_former_file
    duplicates_wait_side_by_side
    what_was_given_away_comes_back
    a_file_that_was_closed_elsewhere_is_closed
    a_tcp_socket_in_place_of_a_dry_one
    what_is_adopted_is_heard_at_once
    what_is_adopted_again_is_heard_as_before
    what_waits_on_a_file_that_has_gone_does_not_get_the_next_one_s_data
    what_is_released_is_watched_no_more
    what_is_released_while_somebody_waits_is_still_heard
}

/// A connected pair whose first end has a number that no other test has.
fn pair_at(number: RawFd) -> (OwnedFd, UnixStream) {
    let (a, b) = unix_pair();
    (at(a, number), b)
}

/// Closes without the driver's knowledge.
fn close(fd: RawFd) {
    // SAFETY: the tests own what they close.
    assert_eq!(unsafe { libc::close(fd) }, 0);
}

/// A receive that waits, and is served.
#[track_caller]
fn receives(l: &mut Loop, fd: &OwnedFd, mut peer: &UnixStream) {
    let mut buf = [0; 8];
    let token = l.submit(recv(fd, &mut buf));
    l.settle();
    assert!(!l.has(token));
    peer.write_all(b"x").unwrap();
    assert_eq!(l.result(token), 1);
}

fn a_number_is_used_again_after_close(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(500, kind);
    for _ in 0..100 {
        let (a, b) = pair_at(number);
        receives(&mut l, &a, &b);
        l.driver.close(a);
        assert!(!is_open(number));
    }
    l.assert_idle();
}

fn a_number_that_was_closed_elsewhere_is_used_again(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(540, kind);
    for _ in 0..5 {
        let (a, b) = pair_at(number);
        receives(&mut l, &a, &b);
        receives(&mut l, &a, &b);
        close(a.into_raw_fd());
    }
    l.assert_idle();
}

fn a_number_that_was_closed_elsewhere_is_used_again_under_load(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(580, kind);
    let (busy, busy_peer) = unix_pair();
    for _ in 0..3 {
        let (a, b) = pair_at(number);
        receives(&mut l, &a, &b);
        close(a.into_raw_fd());
        let (a, mut b) = pair_at(number);
        let mut buf = [0; 8];
        let token = l.submit(recv(&a, &mut buf));
        b.write_all(b"x").unwrap();
        // It is never quiet meanwhile.
        let mut waits = 0;
        while !l.has(token) {
            let mut buf = [0; 1];
            let other = l.submit(recv(&busy, &mut buf));
            (&busy_peer).write_all(b"y").unwrap();
            assert_eq!(l.result(other), 1);
            waits += 1;
            assert!(waits < 1000, "not found out");
        }
        assert_eq!(l.result(token), 1);
        close(a.into_raw_fd());
    }
    l.assert_idle();
}

fn a_number_that_was_closed_elsewhere_comes_back_by_accept(kind: Kind) {
    let mut l = Loop::new(kind);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fd = l.run(accept(&listener));
        let peer = accepted(fd);
        let mut buf = [0; 8];
        let token = l.submit(recv(&peer, &mut buf));
        (&_client).write_all(b"x").unwrap();
        assert_eq!(l.result(token), 1);
        close(peer.into_raw_fd());
    }
    l.assert_idle();
}

fn a_duplicate_keeps_events_of_a_former_file(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(620, kind);
    let (a, b) = pair_at(number);
    receives(&mut l, &a, &b);
    let duplicate = a.try_clone().unwrap();
    close(a.into_raw_fd());
    // The old file lives on in the duplicate, and epoll reports it under the number that now is another file.
    let (new, new_peer) = pair_at(number);
    let mut buf = [0xaa; 8];
    let token = l.submit(recv(&new, &mut buf));
    for _ in 0..10 {
        (&b).write_all(b"old").unwrap();
        l.settle();
        assert!(!l.has(token));
    }
    (&new_peer).write_all(b"new").unwrap();
    assert_eq!(l.result(token), 3);
    assert_eq!(&buf[..3], b"new");
    assert_eq!(l.run(recv(&duplicate, &mut buf)), 8);
    l.driver.close(new);
    l.driver.close(duplicate);
    l.assert_idle();
}

fn duplicates_wait_side_by_side(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = unix_pair();
    let duplicate = a.try_clone().unwrap();
    let (mut first, mut second) = ([0; 1], [0; 1]);
    let tokens = [l.submit(recv(&a, &mut first)), l.submit(recv(&duplicate, &mut second))];
    l.settle();
    b.write_all(b"xy").unwrap();
    assert_eq!(tokens.map(|token| l.result(token)), [1, 1]);
    let mut both = [first[0], second[0]];
    both.sort_unstable();
    assert_eq!(&both, b"xy");
    // Closing one leaves the other.
    l.driver.close(a.into());
    receives(&mut l, &duplicate.into(), &b);
    l.assert_idle();
}

fn what_was_given_away_comes_back(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(660, kind);
    let (a, b) = pair_at(number);
    receives(&mut l, &a, &b);
    // Somewhere else for a while, with another file under its number.
    let elsewhere = a.try_clone().unwrap();
    close(a.into_raw_fd());
    let (other, other_peer) = pair_at(number);
    receives(&mut l, &other, &other_peer);
    l.driver.close(other);
    let back = at(elsewhere, number);
    receives(&mut l, &back, &b);
    receives(&mut l, &back, &b);
    l.driver.close(back);
    l.assert_idle();
}

fn a_file_that_was_closed_elsewhere_is_closed(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(700, kind);
    let (a, b) = pair_at(number);
    receives(&mut l, &a, &b);
    close(a.into_raw_fd());
    assert_eq!(l.run(recv(&number, &mut [0; 8])), -libc::EBADF);
    assert_eq!(l.run(send(&number, b"x")), -libc::EBADF);
    l.assert_idle();
}

fn a_tcp_socket_in_place_of_a_dry_one(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(740, kind);
    for _ in 0..3 {
        let (a, mut b) = tcp_pair();
        let a = at(a, number);
        let mut buf = [0; 8];
        for _ in 0..3 {
            let token = l.submit(recv(&a, &mut buf));
            l.settle();
            b.write_all(b"x").unwrap();
            assert_eq!(l.result(token), 1);
        }
        close(a.into_raw_fd());
        // What is known of the old one says that there is nothing to receive.
        let (a, mut b) = tcp_pair();
        let a = at(a, number);
        b.write_all(b"waiting").unwrap();
        assert_eq!(l.run(recv(&a, &mut buf)), 7);
        l.driver.close(a);
    }
    l.assert_idle();
}

/// Whether an epoll of this process has a number in its list.
fn is_watched(number: RawFd) -> bool {
    let watched = format!("tfd:{number:>9} ");
    let epolls = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    epolls.flat_map(|epoll| fs::read_to_string(epoll.path())).any(|list| list.contains(&watched))
}

fn what_is_adopted_is_heard_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(780, kind);
    for _ in 0..3 {
        let (a, mut b) = pair_at(number);
        l.driver.adopt(a.as_fd());
        let mut buf = [0; 8];
        for _ in 0..2 {
            let token = l.submit(recv(&a, &mut buf));
            l.settle();
            b.write_all(b"x").unwrap();
            // It never sleeps, so no doubt is ever looked into.
            l.settle();
            assert!(l.has(token));
            assert_eq!(l.result(token), 1);
        }
        close(a.into_raw_fd());
    }
    l.assert_idle();
}

fn what_is_adopted_again_is_heard_as_before(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(820, kind);
    let (a, mut b) = pair_at(number);
    receives(&mut l, &a, &b);
    l.driver.adopt(a.as_fd());
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.driver.adopt(a.as_fd());
    l.settle();
    l.driver.adopt(a.as_fd());
    assert!(!l.has(token));
    b.write_all(b"x").unwrap();
    l.settle();
    assert!(l.has(token));
    assert_eq!(l.result(token), 1);
    l.driver.close(a);
    l.assert_idle();
}

fn what_waits_on_a_file_that_has_gone_does_not_get_the_next_one_s_data(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(860, kind);
    let (a, b) = pair_at(number);
    let mut former = [0xaa; 8];
    let token = l.submit(recv(&a, &mut former));
    l.settle();
    close(a.into_raw_fd());
    let (a, mut peer) = pair_at(number);
    l.driver.adopt(a.as_fd());
    l.settle();
    if kind == Kind::Epoll {
        assert_eq!(l.result(token), CANCELLED);
    } else {
        // It has the old file, which lives for it, and hears that its peer has gone.
        assert!(!l.has(token));
        drop(b);
        assert_eq!(l.result(token), 0);
    }
    peer.write_all(b"mine").unwrap();
    let mut buf = [0; 8];
    assert_eq!(l.run(recv(&a, &mut buf)), 4);
    assert_eq!(former, [0xaa; 8]);
    l.driver.close(a);
    l.assert_idle();
}

fn what_is_released_is_watched_no_more(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(900, kind);
    let (a, b) = pair_at(number);
    for _ in 0..2 {
        receives(&mut l, &a, &b);
        assert_eq!(is_watched(number), kind == Kind::Epoll);
        l.driver.release(a.as_fd());
        assert!(is_open(number) && !is_watched(number));
    }
    // What was submitted for it means it, also if the number is another file by then.
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.driver.release(a.as_fd());
    close(a.into_raw_fd());
    let (other, _other) = pair_at(number);
    if kind == Kind::Uring {
        (&b).write_all(b"x").unwrap();
        assert_eq!(l.result(token), 1);
    } else {
        l.driver.adopt(other.as_fd());
        assert_eq!(l.result(token), CANCELLED);
    }
    l.assert_idle();
}

fn what_is_released_while_somebody_waits_is_still_heard(kind: Kind) {
    let mut l = Loop::new(kind);
    let number = number(940, kind);
    let (a, mut b) = pair_at(number);
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    l.driver.release(a.as_fd());
    b.write_all(b"x").unwrap();
    assert_eq!(l.result(token), 1);
    l.driver.close(a);
    l.assert_idle();
}
