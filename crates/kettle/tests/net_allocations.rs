//! A read or write of a stream, or of datagrams, that has no options allocates nothing, and who does not read costs no memory.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod sockets;

use kettle::net::TcpStream;
use kettle::thread;
use sockets::{pair, udp, udp_pair};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut, Read, Write};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator, and a number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size() as isize);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as isize);
        // SAFETY: passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn reads_and_writes_allocate_nothing() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        thread::spawn(move || {
            let (mut a, mut b) = ([0], [0]);
            while let Ok(1..) = other.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]) {
                assert_eq!(other.write_vectored(&[IoSlice::new(&a), IoSlice::new(&b)]).unwrap(), 2);
            }
        });
        let mut round = || {
            one.write_all(&[1, 2]).unwrap();
            let mut buf = [0; 2];
            one.peek(&mut buf).unwrap();
            one.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [1, 2]);
        };
        // Queues find their sizes.
        (0..100).for_each(|_| round());
        let before = ALLOCATIONS.get();
        (0..1000).for_each(|_| round());
        assert_eq!(ALLOCATIONS.get(), before);
    });
}

#[test]
fn datagrams_allocate_nothing() {
    kettle::run(|| {
        let ((one, other), (server, addr)) = (udp_pair(), udp());
        thread::spawn(move || {
            let mut buf = [0; 8];
            while let Ok((len, from)) = server.recv_from(&mut buf) {
                server.send_to(&buf[..len], from).unwrap();
            }
        });
        let (client, _) = udp();
        let round = || {
            let mut buf = [0; 8];
            one.send(b"tea").unwrap();
            assert_eq!((other.peek(&mut buf).unwrap(), other.recv(&mut buf).unwrap()), (3, 3));
            client.send_to(b"tea", addr).unwrap();
            assert_eq!(client.recv_from(&mut buf).unwrap(), (3, addr));
        };
        // Queues find their sizes.
        (0..100).for_each(|_| round());
        let before = ALLOCATIONS.get();
        (0..1000).for_each(|_| round());
        assert_eq!(ALLOCATIONS.get(), before);
    });
}

#[test]
fn clients_that_never_read_cost_a_server_no_memory() {
    const CLIENTS: usize = 20;
    /// What queues may grow by that find their sizes late: less than one of the refused writes.
    const QUEUES: isize = 1024;
    kettle::run(|| {
        let pairs: Vec<_> = (0..CLIENTS).map(|_| pair()).collect();
        let (clients, servers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let echo = |mut stream: TcpStream| {
            let mut buf = [0; 4096];
            while let Ok(len @ 1..) = stream.read(&mut buf) {
                if stream.write_all(&buf[..len]).is_err() {
                    break;
                }
            }
        };
        servers.into_iter().for_each(|stream| drop(thread::spawn(move || echo(stream))));
        // Another one, who does.
        let (mut reads, other) = pair();
        thread::spawn(move || echo(other));
        let mut ask = || {
            reads.write_all(b"x").unwrap();
            reads.read_exact(&mut [0]).unwrap();
        };
        // The clients send as long as anything goes, so that each server waits for them in a write.
        let flood = |mut client: &TcpStream| {
            client.set_nonblocking(true).unwrap();
            let mut sent = 0;
            while let Ok(len) = client.write(&[7; 8192]) {
                sent += len;
            }
            sent
        };
        clients.iter().for_each(|client| _ = flood(client));
        ask();
        let stacks = || kettle::fiber::pool::usage().iter().map(|size| size.in_use).sum::<usize>();
        let before = (BYTES.get(), stacks());
        for _ in 0..100 {
            clients.iter().for_each(|client| _ = flood(client));
            ask();
        }
        assert!(BYTES.get() - before.0 < QUEUES, "{} bytes", BYTES.get() - before.0);
        assert_eq!(stacks(), before.1);
    });
}
