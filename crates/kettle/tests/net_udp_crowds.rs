//! Datagrams and cancelled tasks, and crowds of sockets: none is lost, and no descriptor is left.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::UdpSocket;
use kettle::{EventLoop, thread, timeout};
use kettle_rt::driver::Config;
use sockets::{assert_cancelled, is_cancelled, is_simulated, let_others_run, udp, udp_pair};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Has a task wait in a call, cancels it, and gives what the call has given.
fn cancelled_in<T: 'static>(call: impl FnOnce() -> io::Result<T> + 'static) -> io::Result<T> {
    let result = Rc::new(Cell::new(None));
    let task = thread::spawn({
        let result = Rc::clone(&result);
        move || result.set(Some(call()))
    });
    let_others_run();
    task.cancel();
    _ = task.join();
    result.take().unwrap()
}

#[test]
fn what_is_cancelled_leaves_no_descriptor_and_takes_nothing() {
    alone("what_is_cancelled_leaves_no_descriptor_and_takes_nothing", || {
        kettle::run(|| {
            let before = descriptors();
            for _ in 0..20 {
                let calls: [fn(UdpSocket) -> io::Result<()>; 5] = [
                    |socket| socket.recv(&mut [0; 16]).map(drop),
                    |socket| socket.recv_from(&mut [0; 16]).map(drop),
                    |socket| socket.peek(&mut [0; 16]).map(drop),
                    |socket| socket.peek_from(&mut []).map(drop),
                    |socket| {
                        socket.set_read_timeout(Some(Duration::from_secs(1000)))?;
                        socket.recv_from(&mut [0; 16]).map(drop)
                    },
                ];
                for call in calls {
                    let (one, other) = udp_pair();
                    let clone = one.try_clone().unwrap();
                    assert_cancelled(cancelled_in(move || call(clone)));
                    other.send(b"tea").unwrap();
                    assert_eq!(one.recv(&mut [0; 16]).unwrap(), 3);
                }
            }
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn a_cancelled_task_is_told_once_and_then_unwound_by_each_call() {
    kettle::run(|| {
        let (one, other) = udp_pair();
        let addr = other.local_addr().unwrap();
        let is_unwound = |call: &mut dyn FnMut() -> io::Result<usize>| {
            catch_unwind(AssertUnwindSafe(call)).is_err_and(|payload| payload.is::<kettle::Cancelled>())
        };
        let ended = Rc::new(Cell::new(false));
        let task = thread::spawn({
            let ended = Rc::clone(&ended);
            move || {
                assert_cancelled(one.recv(&mut [0; 16]));
                assert!(is_unwound(&mut || one.recv(&mut [0; 16])));
                assert!(is_unwound(&mut || one.recv_from(&mut [0; 16]).map(|(len, _)| len)));
                assert!(is_unwound(&mut || one.send(b"no more")));
                assert!(is_unwound(&mut || one.send_to(b"no more", addr)));
                ended.set(true);
            }
        });
        let_others_run();
        task.cancel();
        _ = task.join();
        assert!(ended.get());
        other.set_nonblocking(true).unwrap();
        assert_eq!(other.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock, "nothing was sent");
    });
}

#[test]
fn cancelling_at_any_time_loses_no_datagram() {
    const ROUNDS: u32 = 500;
    kettle::run(|| {
        let (one, other) = udp_pair();
        let one = Rc::new(one);
        let mut heard = Vec::new();
        for round in 0..ROUNDS {
            let task = thread::spawn({
                let one = Rc::clone(&one);
                move || {
                    let mut buf = [0; 4];
                    match one.recv_from(&mut buf) {
                        Ok((len, _)) => {
                            assert_eq!(len, 4);
                            Some(u32::from_ne_bytes(buf))
                        }
                        Err(error) => {
                            assert!(is_cancelled(&error), "{error}");
                            None
                        }
                    }
                }
            });
            for _ in 0..round % 4 {
                thread::yield_now();
            }
            other.send(&round.to_ne_bytes()).unwrap();
            for _ in 0..round % 3 {
                thread::yield_now();
            }
            task.cancel();
            // One that was cancelled before it began has heard nothing.
            heard.extend(task.join().unwrap_or(None));
            // The socket's buffer is not what the test is about.
            if round % 50 == 49 {
                one.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                while heard.len() < round as usize + 1 {
                    let mut buf = [0; 4];
                    one.recv(&mut buf).unwrap();
                    heard.push(u32::from_ne_bytes(buf));
                }
                one.set_read_timeout(None).unwrap();
            }
        }
        heard.sort_unstable();
        assert!(heard.into_iter().eq(0..ROUNDS));
    });
}

#[test]
fn a_read_timeout_loses_no_datagram() {
    kettle::run(|| {
        let (one, other) = udp_pair();
        one.set_read_timeout(Some(Duration::from_micros(50))).unwrap();
        const ROUNDS: u32 = 300;
        let sends = thread::spawn(move || {
            for round in 0..ROUNDS {
                other.send(&round.to_ne_bytes()).unwrap();
                thread::sleep(Duration::from_micros(u64::from(round % 5) * 20));
            }
            other
        });
        let mut expected = 0;
        while expected < ROUNDS {
            let mut buf = [0; 4];
            match one.recv(&mut buf) {
                Ok(len) => {
                    assert_eq!((len, u32::from_ne_bytes(buf)), (4, expected));
                    expected += 1;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        sends.join().unwrap();
    });
}

#[test]
fn a_deadline_ends_a_call_and_loses_no_datagram() {
    kettle::run(|| {
        let (one, other) = udp_pair();
        let late = timeout(Duration::from_millis(1), || one.recv(&mut [0; 16]));
        assert!(late.is_err() || late.is_ok_and(|result| result.is_err_and(|error| is_cancelled(&error))));
        other.send(b"tea").unwrap();
        assert_eq!(one.recv(&mut [0; 16]).unwrap(), 3);
    });
}

#[test]
fn a_thousand_sockets_talk_at_a_time_and_leave_nothing() {
    const SOCKETS: usize = 1000;
    const ROUNDS: u8 = 5;
    alone("a_thousand_sockets_talk_at_a_time_and_leave_nothing", || {
        let limit = raise_limit();
        // Each has one descriptor; some are left for the process.
        let sockets = SOCKETS.min(limit.saturating_sub(100));
        let talk = || {
            kettle::run(|| {
                let (server, addr) = udp();
                let server = Rc::new(server);
                // Several tasks share the server's socket.
                for _ in 0..4 {
                    let server = Rc::clone(&server);
                    thread::spawn(move || {
                        let mut buf = [0; 8];
                        while let Ok((len, from)) = server.recv_from(&mut buf) {
                            server.send_to(&buf[..len], from).unwrap();
                        }
                    });
                }
                let clients: Vec<_> = (0..sockets as u32)
                    .map(|n| {
                        thread::spawn(move || {
                            let (client, _) = udp();
                            client.connect(addr).unwrap();
                            // The server's buffer is smaller than the crowd: what gets lost is asked again.
                            client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                            for round in 0..ROUNDS {
                                let asks = [n.to_ne_bytes(), [round, 0, 0, 0]].concat();
                                let mut answer = [0; 8];
                                while answer != asks[..] {
                                    client.send(&asks).unwrap();
                                    _ = client.recv(&mut answer);
                                }
                            }
                        })
                    })
                    .collect();
                clients.into_iter().for_each(|client| client.join().unwrap());
            });
        };
        // Queues find their sizes.
        talk();
        let before = descriptors();
        talk();
        assert_eq!(descriptors(), before);
    });
}

/// Allows this process as many descriptors as it may have, and gives how many.
fn raise_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a variable.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: a variable.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[test]
fn thousands_of_receives_share_a_ring_of_one_entry() {
    const WAITERS: usize = 2000;
    // A simulation has no ring.
    if is_simulated() {
        return;
    }
    for entries in [1, 2] {
        let config = Config { entries, ..Config::default() };
        EventLoop::builder().driver(config).build().unwrap().run(|| {
            let (one, other) = udp_pair();
            let one = Rc::new(one);
            let waiters: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let one = Rc::clone(&one);
                    thread::spawn(move || {
                        let mut buf = [0; 8];
                        let (len, _) = one.recv_from(&mut buf).unwrap();
                        assert_eq!(len, 8);
                        usize::from_ne_bytes(buf)
                    })
                })
                .collect();
            thread::yield_now();
            // So few at a time that the socket's buffer has room for them.
            for from in (0..WAITERS).step_by(50) {
                for n in from..from + 50 {
                    other.send(&n.to_ne_bytes()).unwrap();
                }
                while waiters.iter().filter(|waiter| waiter.is_finished()).count() < from + 50 {
                    thread::yield_now();
                }
            }
            let mut heard: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
            heard.sort_unstable();
            assert!(heard.into_iter().eq(0..WAITERS));
        });
    }
}

#[test]
fn without_descriptors_a_bind_is_an_error_that_passes() {
    alone("without_descriptors_a_bind_is_an_error_that_passes", || {
        kettle::run(|| {
            let (one, other) = udp_pair();
            let mut all = Vec::new();
            let error = loop {
                match UdpSocket::bind("127.0.0.1:0") {
                    Ok(socket) => all.push(socket),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            assert_eq!(one.try_clone().unwrap_err().raw_os_error(), Some(libc::EMFILE));
            one.send(b"tea").unwrap();
            assert_eq!(other.recv(&mut [0; 16]).unwrap(), 3);
            all.pop();
            udp();
        });
    });
}
