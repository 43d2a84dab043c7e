//! Programs on a simulated network: whatever the seed, they do what they promise; and the same seed is the same run.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/again.rs"]
mod again;

use again::again;
use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use kettle::testing::{Simulation, Trace, heal, host, part, reset, simulate};
use kettle::thread;
use kettle::time::{Duration, Instant};
use kettle::{Cancelled, timeout};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;

const SERVER: [u8; 4] = [10, 0, 0, 1];
const CLIENT: [u8; 4] = [10, 0, 0, 2];
const PROXY: [u8; 4] = [10, 0, 0, 3];
const SECOND: Duration = Duration::from_secs(1);

/// Listens on a host.
fn listen(on: [u8; 4]) -> (TcpListener, SocketAddr) {
    host(on, || {
        let listener = TcpListener::bind(SocketAddr::from((on, 0))).unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    })
}

/// Connects from a host.
fn call(from: [u8; 4], to: SocketAddr) -> io::Result<TcpStream> {
    host(from, || TcpStream::connect(to))
}

/// A connection between client and server: the client's end, the server's.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen(SERVER);
    let client = call(CLIENT, addr).unwrap();
    let (server, from) = listener.accept().unwrap();
    assert_eq!((from, from.ip()), (client.local_addr().unwrap(), CLIENT.into()));
    assert_eq!(server.peer_addr().unwrap(), from);
    (client, server)
}

/// Bytes that tell where they belong.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Serves everybody who comes.
fn serve(listener: TcpListener, f: impl Fn(TcpStream) -> io::Result<()> + Clone + 'static) {
    thread::spawn(move || {
        // Until it is cancelled.
        for client in listener.incoming().map_while(Result::ok) {
            let f = f.clone();
            thread::spawn(move || f(client));
        }
    });
}

fn echo(stream: TcpStream) -> io::Result<()> {
    io::copy(&mut &stream, &mut &stream).map(drop)
}

// --- programs, each of which is run under many seeds ---

/// Everybody gets back what they sent, in whatever pieces.
fn echoes() {
    let (listener, addr) = listen(SERVER);
    serve(listener, echo);
    let clients: Vec<_> = (0..5)
        .map(|n| {
            host([10, 0, 1, n], || {
                thread::spawn(move || {
                    let sent = pattern(1000 * usize::from(n) + 1);
                    let stream = TcpStream::connect(addr).unwrap();
                    thread::scope(|s| {
                        s.spawn(|| {
                            (&stream).write_all(&sent).unwrap();
                            stream.shutdown(Shutdown::Write).unwrap();
                        });
                        let mut heard = Vec::new();
                        (&stream).read_to_end(&mut heard).unwrap();
                        assert!(heard == sent);
                    });
                })
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Everybody hears what everybody says, each one's lines in their order.
fn chats() {
    let (listener, addr) = listen(SERVER);
    let room: Rc<RefCell<Vec<TcpStream>>> = Rc::default();
    serve(listener, move |client| {
        room.borrow_mut().push(client.try_clone()?);
        for line in BufReader::new(client).lines() {
            let line = line? + "\n";
            let everybody: Vec<_> = room.borrow().iter().map(|one| one.try_clone()).collect::<io::Result<_>>()?;
            for mut one in everybody {
                one.write_all(line.as_bytes())?;
            }
        }
        Ok(())
    });
    let streams: Vec<_> = (0..3).map(|n| call([10, 0, 1, n], addr).unwrap()).collect();
    // Who has heard itself is in the room.
    for mut stream in &streams {
        stream.write_all(b"hello\n").unwrap();
        let mut byte = [0];
        while byte != *b"\n" {
            stream.read_exact(&mut byte).unwrap();
        }
    }
    let guests = streams.into_iter().enumerate().map(|(n, stream)| {
        thread::spawn(move || {
            (&stream).write_all(format!("{n} pours\n{n} drinks\n").as_bytes()).unwrap();
            let mut lines = BufReader::new(stream).lines().map(Result::unwrap).filter(|line| line != "hello");
            let heard: Vec<_> = lines.by_ref().take(6).collect();
            for other in 0..3 {
                let place = |does: &str| heard.iter().position(|line| *line == format!("{other} {does}"));
                assert!(place("pours").unwrap() < place("drinks").unwrap(), "{heard:?}");
            }
        })
    });
    guests.collect::<Vec<_>>().into_iter().for_each(|guest| guest.join().unwrap());
}

/// A proxy passes everything on, both ways, until both have said enough.
fn proxies() {
    let ((listener, server), (front, addr)) = (listen(SERVER), listen(PROXY));
    serve(listener, echo);
    host(PROXY, || {
        serve(front, move |client| {
            let server = TcpStream::connect(server)?;
            thread::scope(|s| {
                let up = s.spawn(|| {
                    io::copy(&mut &client, &mut &server)?;
                    server.shutdown(Shutdown::Write)
                });
                io::copy(&mut &server, &mut &client)?;
                client.shutdown(Shutdown::Write)?;
                up.join().unwrap()
            })
        });
    });
    let clients = [1, 5000, 100_000].map(|len| {
        host(CLIENT, || {
            thread::spawn(move || {
                let sent = pattern(len);
                let stream = TcpStream::connect(addr).unwrap();
                thread::scope(|s| {
                    s.spawn(|| {
                        (&stream).write_all(&sent).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                    });
                    let mut heard = Vec::new();
                    (&stream).read_to_end(&mut heard).unwrap();
                    assert!(heard == sent);
                });
            })
        })
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
}

/// Who is cut off again and again tries again, and is served in the end.
fn perseveres() {
    let (listener, addr) = listen(SERVER);
    serve(listener, echo);
    thread::spawn(|| {
        loop {
            thread::sleep(SECOND);
            reset(SERVER, CLIENT);
            part(SERVER, CLIENT);
            thread::sleep(3 * SECOND);
            heal(SERVER, CLIENT);
        }
    });
    let ask = || -> io::Result<()> {
        let mut stream = call(CLIENT, addr)?;
        stream.set_read_timeout(Some(SECOND))?;
        for _ in 0..5 {
            thread::sleep(SECOND / 10);
            stream.write_all(b"tea?")?;
            stream.read_exact(&mut [0; 4])?;
        }
        Ok(())
    };
    for _ in 0..20 {
        while let Ok(Err(_)) | Err(Cancelled { .. }) = timeout(10 * SECOND, ask) {}
    }
}

const PROGRAMS: [(&str, fn()); 4] =
    [("echoes", echoes), ("chats", chats), ("proxies", proxies), ("perseveres", perseveres)];

fn trace(seed: u64, program: fn()) -> Trace {
    Simulation::new(seed).recorded().run(program).unwrap_or_else(|failure| panic!("{failure}")).trace
}

/// The hashes of all programs under some seeds.
fn hashes() -> String {
    let mut hashes = String::new();
    for (name, program) in PROGRAMS {
        for seed in 0..10 {
            hashes += &format!("{name} {:016x}\n", trace(seed, program).hash());
        }
    }
    hashes
}

#[test]
fn the_whole_suite_run_twice_writes_the_same_traces() {
    for (name, program) in PROGRAMS {
        let hashes: HashSet<_> = (0..10)
            .map(|seed| {
                let trace = trace(seed, program);
                assert!(trace.as_bytes() == self::trace(seed, program).as_bytes(), "{name}, seed {seed}");
                trace.hash()
            })
            .collect();
        assert_eq!(hashes.len(), 10, "{name}: seeds differ");
    }
}

#[test]
fn another_process_writes_the_same_traces() {
    let ours = hashes();
    for _ in 0..2 {
        let output = again("another_process_writes_the_same_traces", &[], || println!("{ours}"));
        assert!(String::from_utf8(output.stdout).unwrap().contains(&ours));
    }
}

#[test]
fn a_small_proxy_holds_under_many_seeds() {
    Simulation::new(0).explore(0..100, proxies).unwrap_or_else(|failure| panic!("{failure}"));
    // Little room, small pieces, long ways.
    let narrow = Simulation::new(0).capacity(100).short_once_in(2).latency(Duration::ZERO..=SECOND);
    narrow.explore(0..5, proxies).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn bytes_come_in_their_order_and_connections_overtake_each_other() {
    let order = |seed| {
        simulate(seed, || {
            let (listener, addr) = listen(SERVER);
            let clients = [1_u8, 2]
                .map(|n| thread::spawn(move || call(CLIENT, addr).unwrap().write_all(&[n, n + 10, n + 20]).unwrap()));
            let heard = Rc::new(RefCell::new(Vec::new()));
            let servers = [0, 1].map(|_| {
                let (mut stream, heard) = (listener.accept().unwrap().0, Rc::clone(&heard));
                thread::spawn(move || {
                    let mut bytes = [0; 3];
                    stream.read_exact(&mut bytes).unwrap();
                    heard.borrow_mut().push(bytes);
                })
            });
            clients.into_iter().chain(servers).for_each(|task| task.join().unwrap());
            heard.take()
        })
    };
    let orders: HashSet<_> = (0..50).map(order).collect();
    assert_eq!(orders, HashSet::from([vec![[1, 11, 21], [2, 12, 22]], vec![[2, 12, 22], [1, 11, 21]]]));
}

#[test]
fn a_read_timeout_takes_its_time_and_none_of_ours() {
    simulate(1, || {
        let (mut client, _server) = pair();
        client.set_read_timeout(Some(3600 * SECOND)).unwrap();
        let start = Instant::now();
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(start.elapsed(), 3600 * SECOND);
    });
}

#[test]
fn a_connect_to_a_host_that_is_parted_waits_until_it_is_healed() {
    simulate(1, || {
        let (_listener, addr) = listen(SERVER);
        part(CLIENT, SERVER);
        assert!(timeout(60 * SECOND, || call(CLIENT, addr)).unwrap().is_err());
        let start = Instant::now();
        let waits = thread::spawn(move || call(CLIENT, addr).map(drop));
        thread::sleep(2 * SECOND);
        heal(CLIENT, SERVER);
        waits.join().unwrap().unwrap();
        assert!((2 * SECOND..4 * SECOND).contains(&start.elapsed()));
    });
}

#[test]
fn a_reset_is_an_error_at_both_ends() {
    simulate(1, || {
        let (mut client, mut server) = pair();
        assert_eq!(reset(CLIENT, SERVER), 1);
        assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.write(b"tea").unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.write(b"tea").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(client.peer_addr().is_err());
    });
}

#[test]
fn resets_come_as_often_as_the_conditions_say() {
    let failed = |once_in| {
        let run = Simulation::new(1).reset_once_in(once_in).run(|| {
            let send = |_: &u32| {
                let (mut client, _server) = pair();
                client.write(b"tea").is_err()
            };
            (0..100).filter(send).count()
        });
        run.unwrap().value
    };
    assert_eq!((failed(0), failed(1)), (0, 100));
    assert!((5..50).contains(&failed(5)));
}

#[test]
fn a_loopback_is_a_hosts_own() {
    simulate(1, || {
        let (listener, addr) = host(SERVER, || {
            let listener = TcpListener::bind("127.0.0.1:80").unwrap();
            let addr = listener.local_addr().unwrap();
            (listener, addr)
        });
        assert_eq!(call(CLIENT, addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let client = call(SERVER, addr).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        assert_eq!(TcpListener::bind(SocketAddr::from((CLIENT, 80))).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn what_sockets_are_printed_as_has_their_simulated_addresses() {
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let said = format!("{outside:?}");
    simulate(1, || {
        let (listener, addr) = listen(SERVER);
        let client = call(CLIENT, addr).unwrap();
        let (from, fd) = (client.local_addr().unwrap(), client.as_raw_fd());
        assert_eq!(format!("{client:?}"), format!("TcpStream {{ addr: {from}, peer: {addr}, fd: {fd} }}"));
        let fd = listener.as_raw_fd();
        assert_eq!(format!("{listener:?}"), format!("TcpListener {{ addr: {addr}, fd: {fd} }}"));
        let socket = UdpSocket::bind("127.0.0.1:7").unwrap();
        let fd = socket.as_raw_fd();
        socket.connect("127.0.0.1:9").unwrap();
        assert_eq!(format!("{socket:?}"), format!("UdpSocket {{ addr: 127.0.0.1:7, fd: {fd} }}"));
        assert_eq!(format!("{outside:?}"), said, "what is not simulated is what it is");
    });
}

#[test]
fn a_deadlock_on_the_network_tells_who_waits_where() {
    let failure = Simulation::new(1)
        .run(|| {
            let (mut client, mut server) = pair();
            let serves = thread::Builder::new().name("server".into()).spawn(move || server.read(&mut [0; 8])).unwrap();
            assert!(client.read(&mut [0; 8]).is_err());
            serves.join().unwrap().unwrap();
        })
        .unwrap_err();
    let said = failure.to_string();
    assert!(failure.is_deadlock());
    assert!(said.contains("task 0 receives from connection 10.0.0.2:32768 to 10.0.0.1:32768"), "{said}");
    assert!(said.contains("task 1 `server` receives from connection 10.0.0.1:32768 to 10.0.0.2:32768"), "{said}");
}

#[test]
fn destructors_of_a_task_that_unwinds_do_not_wait() {
    simulate(1, || {
        let (mut client, server) = pair();
        struct Says(TcpStream);
        impl Drop for Says {
            fn drop(&mut self) {
                assert_eq!(self.0.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
                self.0.write_all(b"goodbye").unwrap();
            }
        }
        let serves = thread::spawn(move || {
            let _says = Says(server);
            thread::sleep(Duration::MAX);
        });
        thread::sleep(SECOND);
        serves.cancel();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "goodbye");
    });
}

#[test]
fn a_socket_from_outside_is_an_error_in_a_simulation() {
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::from(outside);
    simulate(1, || assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP)));
    assert!(listener.local_addr().is_ok());
}

#[test]
fn hosts_are_of_simulations_only() {
    let panic = std::panic::catch_unwind(|| host(SERVER, || ())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("where no simulation runs"));
    assert!(std::panic::catch_unwind(|| kettle::run(|| part(SERVER, CLIENT))).is_err());
}

#[test]
fn who_waits_for_a_connection_is_said_to() {
    let failure = Simulation::new(1)
        .run(|| {
            let (listener, _) = listen(SERVER);
            _ = listener.accept();
        })
        .unwrap_err();
    assert!(failure.to_string().contains("task 0 waits for a connection at listener 10.0.0.1:"), "{failure}");
}
