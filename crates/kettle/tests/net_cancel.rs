//! Cancelled, timed out and starved calls: no descriptor is left, no byte is lost, and the error says what it was.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::{TcpListener, TcpStream};
use kettle::thread::{self, JoinHandle};
use sockets::{assert_cancelled, is_cancelled, let_others_run, listener, pair, pair_with_std, silent};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Has a task wait in a call until the loop ends, and gives what the call has given.
fn left_in<T: 'static>(call: impl FnOnce() -> io::Result<T> + 'static) -> io::Result<T> {
    let began = Rc::new(Cell::new(false));
    let task = kettle::run(|| {
        let task = thread::spawn({
            let began = Rc::clone(&began);
            move || {
                began.set(true);
                call()
            }
        });
        let_others_run();
        task
    });
    assert!(began.get());
    task.join().unwrap()
}

#[test]
fn what_is_cancelled_leaves_no_descriptor() {
    alone("what_is_cancelled_leaves_no_descriptor", || {
        let before = descriptors();
        for _ in 0..20 {
            let (listener, addr, first) = silent();
            assert_cancelled(left_in(move || TcpStream::connect(addr)));
            assert_cancelled(left_in(move || TcpStream::connect_timeout(&addr, Duration::from_secs(1000))));
            drop((listener, first));

            let (listener, _) = sockets::listener();
            assert_cancelled(left_in(move || listener.accept()));
            let (listener, _) = sockets::listener();
            assert_cancelled(left_in(move || listener.incoming().next().unwrap()));

            let (mut one, _other) = pair();
            assert_cancelled(left_in(move || one.read(&mut [0; 16])));
            let (mut one, _other) = pair();
            assert_cancelled(left_in(move || one.read_exact(&mut [0; 16])));
            let (mut one, _other) = pair();
            assert_cancelled(left_in(move || one.read_to_end(&mut Vec::new())));
            let (mut one, _other) = pair();
            assert_cancelled(left_in(move || one.read_vectored(&mut [IoSliceMut::new(&mut [0])])));
            let (one, _other) = pair();
            assert_cancelled(left_in(move || one.peek(&mut [0])));
            let (mut one, _other) = pair();
            one.set_read_timeout(Some(Duration::from_secs(1000))).unwrap();
            assert_cancelled(left_in(move || one.read(&mut [0; 16])));
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_cancelled_write_leaves_no_descriptor() {
    alone("a_cancelled_write_leaves_no_descriptor", || {
        let before = descriptors();
        let (mut one, other) = pair();
        assert_cancelled(left_in(move || one.write_all(&vec![0; 64 << 20])));
        drop(other);
        let (mut one, other) = pair();
        let chunk = vec![0; 1 << 20];
        assert_cancelled::<()>(left_in(move || {
            loop {
                one.write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]).map(drop)?;
            }
        }));
        drop(other);
        assert_eq!(descriptors(), before);
    });
}

/// Whether a call unwinds the task, which has been told by an error that it is cancelled.
fn is_unwound<T>(call: impl FnOnce() -> io::Result<T>) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err_and(|payload| payload.is::<kettle::Cancelled>())
}

#[test]
fn a_cancelled_task_is_told_once_and_then_unwound_by_each_call() {
    let (listener, addr) = listener();
    let _waiting = TcpStream::connect(addr).unwrap();
    let (mut one, mut other) = pair();
    let (mut idle, _other) = pair();
    let mut clone = one.try_clone().unwrap();
    other.write_all(b"data").unwrap();
    let checked = left_in(move || {
        assert_cancelled(idle.read(&mut [0]));
        // Also if there is something.
        assert!(is_unwound(|| one.read(&mut [0])));
        assert!(is_unwound(|| one.peek(&mut [0])));
        assert!(is_unwound(|| one.write(&[0])));
        assert!(is_unwound(|| one.read_vectored(&mut [IoSliceMut::new(&mut [0])])));
        assert!(is_unwound(|| one.write_vectored(&[IoSlice::new(&[0])])));
        assert!(is_unwound(|| listener.accept()));
        assert!(is_unwound(|| TcpStream::connect(addr)));
        listener.set_nonblocking(true)?;
        one.set_nonblocking(true)?;
        assert!(is_unwound(|| listener.accept()));
        assert!(is_unwound(|| one.read(&mut [0])));
        one.set_nonblocking(false)?;
        // What moves nothing and what doesn't wait is no checkpoint.
        assert_eq!(one.read(&mut [])?, 0);
        assert_eq!(one.write(&[])?, 0);
        one.peer_addr()?;
        Ok(())
    });
    checked.unwrap();
    // It is a stream as before, with all that had come.
    let mut data = [0; 4];
    clone.read_exact(&mut data).unwrap();
    assert_eq!(&data, b"data");
}

#[test]
fn a_loop_that_ignores_errors_ends_with_its_loop() {
    let (listener, _) = listener();
    kettle::run(|| {
        thread::spawn(move || for _stream in listener.incoming().flatten() {});
        thread::yield_now();
    });
}

#[test]
fn a_task_that_polls_is_cancelled() {
    let (mut one, _other) = pair();
    one.set_nonblocking(true).unwrap();
    let error = left_in(move || {
        loop {
            match one.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    });
    assert_cancelled(error);
    let (listener, _) = listener();
    listener.set_nonblocking(true).unwrap();
    let error = left_in(move || {
        loop {
            match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    });
    assert_cancelled(error);
}

#[test]
fn a_task_that_polls_lets_happen_what_it_asks_for() {
    kettle::run(|| {
        let (listener, addr) = listener();
        listener.set_nonblocking(true).unwrap();
        let client = thread::spawn(move || TcpStream::connect(addr).unwrap().write_all(b"x").unwrap());
        let mut stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        };
        stream.set_nonblocking(true).unwrap();
        let mut byte = [0];
        while let Err(error) = stream.read_exact(&mut byte) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(&byte, b"x");
        client.join().unwrap();
    });
}

#[test]
fn what_has_arrived_is_given_or_stays() {
    // The byte comes at the same time as the cancellation.
    for round in 0..200 {
        let (mut one, mut other) = pair_with_std();
        let mut rest = one.try_clone().unwrap();
        let task = kettle::run(|| {
            let task = thread::spawn(move || one.read(&mut [0; 16]));
            for _ in 0..round % 4 {
                thread::yield_now();
            }
            other.write_all(b"x").unwrap();
            task
        });
        let got = match task.join() {
            Ok(Ok(len)) => len,
            Ok(Err(error)) => {
                assert!(is_cancelled(&error));
                0
            }
            // It had not begun.
            Err(panic) => {
                assert!(panic.is::<kettle::Cancelled>());
                0
            }
        };
        rest.set_nonblocking(true).unwrap();
        let left = rest.read(&mut [0; 16]).unwrap_or(0);
        assert_eq!(got + left, 1);
    }
}

#[test]
fn a_connection_is_given_or_stays_or_is_closed() {
    alone("a_connection_is_given_or_stays_or_is_closed", || {
        let before = descriptors();
        for round in 0..200 {
            let (listener, addr) = listener();
            let rest = listener.try_clone().unwrap();
            let (task, _client): (JoinHandle<io::Result<_>>, _) = kettle::run(|| {
                let task = thread::spawn(move || listener.accept());
                for _ in 0..round % 4 {
                    thread::yield_now();
                }
                (task, std::net::TcpStream::connect(addr).unwrap())
            });
            let accepted = matches!(task.join(), Ok(Ok(_)));
            rest.set_nonblocking(true).unwrap();
            assert!(accepted != rest.accept().is_ok());
        }
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn a_timeout_loses_no_byte() {
    const ALL: usize = 2000;
    kettle::run(|| {
        let (mut one, mut other) = pair();
        let writer = thread::spawn(move || {
            for n in 0..ALL {
                other.write_all(&[n as u8]).unwrap();
                if n % 3 == 0 {
                    thread::sleep(Duration::from_nanos(n as u64 % 7 * 10_000));
                }
            }
        });
        let (mut got, mut timeouts) = (Vec::new(), 0);
        let mut time = 1;
        while got.len() < ALL {
            // From less than a system call takes to more than the writer waits.
            time = time * 7919 % 100_003;
            one.set_read_timeout(Some(Duration::from_nanos(time))).unwrap();
            let mut buf = [0; 16];
            match one.read(&mut buf) {
                Ok(len) => got.extend_from_slice(&buf[..len]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    timeouts += 1;
                }
            }
        }
        assert!(got.iter().enumerate().all(|(n, byte)| *byte == n as u8));
        assert!(timeouts > 0);
        writer.join().unwrap();
    });
}

#[test]
fn timeouts_and_the_mode_are_shared_by_clones() {
    kettle::run(|| {
        let (mut one, other) = pair();
        let mut two = one.try_clone().unwrap();
        let mut three = two.try_clone().unwrap();
        one.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(two.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(three.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(three.read_timeout().unwrap().is_some());
        three.set_read_timeout(None).unwrap();
        two.set_nonblocking(true).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_nonblocking(false).unwrap();
        let reader = thread::spawn(move || three.read(&mut [0]).unwrap());
        thread::yield_now();
        (&other).write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);

        two.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        let error = loop {
            if let Err(error) = one.write(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);

        let (listener, _) = listener();
        let clone = listener.try_clone().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(clone.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

/// Takes all descriptors but none.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[test]
fn without_descriptors_accept_is_an_error_and_works_again() {
    alone("without_descriptors_accept_is_an_error_and_works_again", || {
        let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
        // SAFETY: a variable of the type that is asked for.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        kettle::run(|| {
            let (listener, addr) = listener();
            let mut client = TcpStream::connect(addr).unwrap();
            let mut taken = take_all();
            for _ in 0..3 {
                assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::EMFILE));
                let error = listener.incoming().next().unwrap().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                assert_eq!(TcpStream::connect(addr).unwrap_err().raw_os_error(), Some(libc::EMFILE));
                assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().raw_os_error(), Some(libc::EMFILE));
                assert_eq!(client.try_clone().unwrap_err().raw_os_error(), Some(libc::EMFILE));
            }
            // The connection has waited.
            taken.pop();
            let (mut stream, from) = listener.accept().unwrap();
            assert_eq!(from, client.local_addr().unwrap());
            client.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            drop(stream);
            // Closing gives it back at once.
            drop(File::open("/dev/null").unwrap());
            // Also if it is waited for when there are none.
            let waiting = thread::spawn(move || (listener.accept().map(drop), listener));
            thread::yield_now();
            taken.extend(take_all());
            drop(taken.pop());
            let _second = TcpStream::connect(addr).unwrap();
            let (accepted, listener) = waiting.join().unwrap();
            assert_eq!(accepted.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            taken.clear();
            listener.accept().unwrap();
        });
    });
}
