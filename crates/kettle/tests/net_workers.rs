//! Sockets and workers: one listener for all of them, and what is in the way.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::net::{TcpListener, TcpStream};
use kettle::{Cancelled, thread, workers};
use std::io::{self, ErrorKind, Read, Write};
use std::net;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Says which worker answers, and what it was asked.
fn answer(mut client: TcpStream) -> io::Result<usize> {
    let mut question = [0; 4];
    client.read_exact(&mut question)?;
    let index = workers::current().unwrap().index();
    client.write_all(&[index as u8])?;
    client.write_all(&question)?;
    Ok(index)
}

fn ask(server: net::SocketAddr) -> usize {
    let mut stream = net::TcpStream::connect(server).unwrap();
    stream.write_all(b"tea?").unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard[1..], b"tea?");
    heard[0].into()
}

#[test]
fn a_listener_that_was_bound_before_is_shared_by_all_workers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        let clients = [(); 2].map(|()| std::thread::spawn(move || ask(server)));
        clients.map(|client| client.join().unwrap())
    });
    // Each of them accepts one.
    let both = workers(2).run(|_| answer(listener.accept()?.0)).unwrap();
    assert_eq!(both.into_iter().collect::<io::Result<Vec<_>>>().unwrap(), [0, 1]);
    let mut heard = clients.join().unwrap();
    heard.sort_unstable();
    assert_eq!(heard, [0, 1]);
}

#[test]
fn connections_are_handed_to_the_worker_that_has_least() {
    const CLIENTS: usize = 40;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || -> Vec<usize> { (0..CLIENTS).map(|_| ask(server)).collect() });
    let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
    workers(2)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            // This one accepts, and has some tasks more: so the others go to the other one.
            let waits = [(); 5].map(|()| thread::spawn(thread::park));
            let handles: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (client, _) = listener.accept().unwrap();
                    let index = worker.least_loaded();
                    counts[index].fetch_add(1, Ordering::Relaxed);
                    worker.spawn_on(index, move || answer(client).unwrap() == index)
                })
                .collect();
            assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
            drop(waits);
        })
        .unwrap();
    let served = clients.join().unwrap().into_iter().filter(|&index| index == 1).count();
    let counts = counts.map(AtomicUsize::into_inner);
    assert_eq!((served, counts[0] + counts[1]), (counts[1], CLIENTS));
    assert!(counts[1] > 0, "the one that has least gets some: {counts:?}");
}

#[test]
fn a_port_that_is_in_use_is_the_error_of_each_worker() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let results = workers(3).run(|_| TcpListener::bind(addr).map(drop)).unwrap();
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}

#[test]
fn a_port_that_is_in_use_for_one_of_them_leaves_the_other_serving() {
    let served = workers(2)
        .run(|worker| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let addr = listener.local_addr()?;
            // The other one can't have it, and returns at once.
            let there = worker.spawn_on(1 - worker.index(), move || TcpListener::bind(addr).map(drop));
            assert_eq!(there.join().unwrap().unwrap_err().kind(), ErrorKind::AddrInUse);
            let client = std::thread::spawn(move || ask(addr));
            let index = answer(listener.accept()?.0)?;
            assert_eq!(client.join().unwrap(), index);
            io::Result::Ok(index)
        })
        .unwrap();
    assert_eq!(served.into_iter().collect::<io::Result<Vec<_>>>().unwrap(), [0, 1]);
}

#[test]
fn a_worker_s_panic_ends_the_accepting_of_the_others() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepts = Barrier::new(2);
    let run = || {
        workers(2).run(|worker| {
            accepts.wait();
            if worker.index() == 0 {
                resume_unwind(Box::new("spilled"));
            }
            let error = listener.accept().unwrap_err();
            assert!(error.get_ref().unwrap().is::<Cancelled>());
        })
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"spilled"));
}
