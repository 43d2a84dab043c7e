//! The programs that are supervised, by name.

use kettle::net::TcpStream;
use kettle::processes::{Attendant, Error, Processes, Worker};
use kettle::{processes, thread};
use std::cell::Cell;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, exit, id};
use std::time::{Duration, Instant};

/// Which program this process is, if it is one.
pub(crate) const PROGRAM: &str = "KETTLE_TEST_PROGRAM";
/// How many workers it has.
pub(crate) const COUNT: &str = "KETTLE_TEST_COUNT";
/// An address, a path: what else it is to know.
pub(crate) const WORD: &str = "KETTLE_TEST_WORD";

fn word() -> String {
    env::var(WORD).unwrap_or_default()
}

/// What the processes are that the tests start. In a test run it does nothing.
#[test]
fn service() {
    let Ok(program) = env::var(PROGRAM) else { return };
    // The test runner has begun a line.
    println!();
    let ended = run(&program);
    let (code, text) = match &ended {
        Ok(()) => (0, "ended".to_owned()),
        Err(error) if error.is_forced() => (3, error.to_string()),
        Err(error) if error.is_crash_loop() => (4, format!("{error}, that is {:?}", error.exit_status())),
        Err(error) if error.is_worker() => (5, error.to_string()),
        Err(error) => (6, error.to_string()),
    };
    eprintln!("{text}");
    exit(code);
}

fn run(program: &str) -> Result<(), Error> {
    let count = env::var(COUNT).map_or(2, |count| count.parse().unwrap());
    let plain = || processes(count).listen("127.0.0.1:0");
    match program {
        "answers" => plain().run(answer),
        "answers in a hurry" => plain().drain_within(Duration::from_millis(50)).run(answer),
        // Deaths are the test's doing.
        "answers whatever happens" => {
            plain().give_up_after(1000, Duration::from_secs(1)).back_off(Duration::ZERO, Duration::ZERO).run(answer)
        }
        "tells" => plain().status_socket(word()).run(answer),
        "answers at" => processes(count).listen(word()).run(answer),
        "answers at two" => processes(count).listen("127.0.0.1:0").listen_as("admin", "127.0.0.1:0").run(|worker| {
            let names: Vec<_> =
                worker.listeners().map(|listener| (listener.name(), listener.local_addr().unwrap())).collect();
            println!("listeners {names:?}");
            worker.ready();
            worker.draining().wait();
            Ok(())
        }),
        "says what it answers" => plain().run(|worker| {
            println!("serves {}", worker.listener().local_addr()?);
            thread::scope(|connections| {
                for stream in worker.incoming().flatten() {
                    // More than a pipe holds, in the end.
                    let (out, error) = ("out ".repeat(1000), "error ".repeat(1000));
                    connections.spawn(move || {
                        converse_and(stream, || {
                            println!("{out}");
                            eprintln!("{error}");
                        })
                    });
                }
            });
            Ok(())
        }),
        "prints" => plain().run(|worker| {
            worker.ready();
            print!("a line\nand {} more\nand a part of one", worker.index());
            io::stdout().flush()?;
            eprint!("{}", "x".repeat(10_000));
            worker.draining().wait();
            Ok(())
        }),
        "shouts" => plain().status_socket(word()).run(|worker| {
            worker.ready();
            std::thread::spawn(|| {
                loop {
                    println!("{}", "tea ".repeat(100));
                }
            });
            worker.draining().wait();
            Ok(())
        }),
        "prints itself" => plain().inherit_output().run(|worker| {
            worker.ready();
            println!("no prefix");
            worker.draining().wait();
            Ok(())
        }),
        "returns at once" => quickly(plain()).run(|_| Ok(())),
        "panics at once" => quickly(plain()).run(|_| panic!("the kettle is empty")),
        "fails at once" => quickly(plain()).run(|_| Err(io::Error::other("no water"))),
        "exits in one worker" => {
            quickly(plain()).run(|worker| if worker.index() == 1 { exit(42) } else { answer(worker) })
        }
        "binds in each worker" => quickly(processes(count)).run(|worker| {
            let listener = kettle::net::TcpListener::bind(word())?;
            worker.ready();
            println!("bound {}", listener.local_addr()?);
            worker.draining().wait();
            Ok(())
        }),
        "is never ready" => quickly(plain()).ready_within(Duration::from_millis(20)).run(|_| {
            thread::sleep(Duration::MAX);
            Ok(())
        }),
        "starts slowly" => {
            if env::var_os("KETTLE_WORKER").is_some() {
                // It goes on when the test says so.
                println!("starts");
                let test = std::net::TcpStream::connect(word()).unwrap();
                BufReader::new(test).read_line(&mut String::new()).unwrap();
            }
            plain().run(answer)
        }
        "hangs while it starts" => {
            if env::var_os("KETTLE_WORKER").is_some() {
                println!("hangs");
                loop {
                    std::thread::park();
                }
            }
            plain().drain_within(Duration::from_millis(50)).run(answer)
        }
        "spins when it is to end" => plain().drain_within(Duration::from_millis(50)).run(|worker| {
            worker.ready();
            println!("serves");
            worker.draining().wait();
            loop {
                std::hint::spin_loop();
            }
        }),
        "runs twice" => plain().run(answer).and_then(|()| plain().run(answer)),
        "talks" => talk(count),
        "is talked nonsense to" => processes(count)
            .attend(|worker: &Attendant<u64, u64>| {
                let error = worker.channel().recv().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                Err(error)
            })
            .run(|worker| {
                worker.ready();
                // Another type than its supervisor's.
                nonsense(worker)?;
                assert!(worker.channel().recv()?.is_none(), "the supervisor has ended it");
                worker.draining().wait();
                Ok(())
            }),
        "panics while it attends" => {
            processes(count).attend(|_: &Attendant<(), ()>| panic!("nobody attends")).run(|worker| {
                worker.ready();
                assert!(worker.channel().recv()?.is_none());
                println!("serves on");
                worker.draining().wait();
                Ok(())
            })
        }
        "is limited" => {
            let limited = plain().open_files(40);
            // The sanitiser has terabytes for itself.
            let limited = if cfg!(kettle_asan) { limited } else { limited.memory(4 << 30) };
            limited.run(|worker| {
                worker.ready();
                let files: Vec<_> = (0..100).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
                let are_few = files.len() < 40;
                drop(files);
                let is_much = !cfg!(kettle_asan) && Vec::<u8>::new().try_reserve(4 << 30).is_ok();
                println!("few files {are_few}, much memory {is_much}");
                worker.draining().wait();
                Ok(())
            })
        }
        "has few descriptors" => plain().open_files(40).run(|worker| {
            println!("serves {}", worker.listener().local_addr()?);
            let mut clients = Vec::new();
            let mut incoming = worker.incoming();
            loop {
                let before = Instant::now();
                match incoming.next() {
                    Some(Ok(client)) => clients.push(client),
                    Some(Err(error)) => println!("paused {}: {error}", before.elapsed() >= Duration::from_millis(50)),
                    None => return Ok(()),
                }
            }
        }),
        "has too high limits" => quickly(plain()).open_files(u64::MAX).run(answer),
        "has children" => plain().run(|worker| {
            worker.ready();
            // It has the environment of a worker, and is none.
            let child =
                Command::new(env::current_exe()?).args(env::args().skip(1)).env(PROGRAM, "listens nowhere").output()?;
            println!("a child said {:?}", String::from_utf8_lossy(&child.stderr).trim_end());
            worker.draining().wait();
            Ok(())
        }),
        "listens nowhere" => processes(count).listen("nowhere").run(answer),
        "says which it is" => quickly(plain()).run(|worker| {
            worker.ready();
            let comm = std::fs::read_to_string("/proc/self/comm")?;
            println!("is {} called {}", env::current_exe()?.display(), comm.trim_end());
            worker.draining().wait();
            Ok(())
        }),
        program => panic!("no such program: {program}"),
    }
}

/// Sends what no worker of this program sends.
fn nonsense(worker: &Worker<u64, u64>) -> io::Result<()> {
    let socket = worker.channel().as_fd();
    UnixStream::from(socket.try_clone_to_owned()?).write_all(&[3, 0, 0, 0, 1, 2, 3])
}

/// One whose end need not be waited for long.
fn quickly<'env>(processes: Processes<'env>) -> Processes<'env> {
    let processes = processes.drain_within(Duration::from_millis(50));
    processes.give_up_after(3, Duration::from_secs(600)).back_off(Duration::from_millis(1), Duration::from_millis(2))
}

/// Two numbers come back for each: what it makes of it, and which process that was.
fn answer(worker: &Worker) -> io::Result<()> {
    worker.ready();
    println!("serves {}", worker.listener().local_addr()?);
    thread::scope(|connections| {
        for stream in worker.incoming() {
            match stream {
                Ok(stream) => _ = connections.spawn(move || converse(stream)),
                Err(error) => eprintln!("accept: {error}"),
            }
        }
    });
    Ok(())
}

fn converse(stream: TcpStream) -> io::Result<()> {
    converse_and(stream, || ())
}

/// And does something before each answer.
fn converse_and(stream: TcpStream, before: impl Fn()) -> io::Result<()> {
    stream.set_nodelay(true)?;
    (&stream).write_all(format!("{}\n", id()).as_bytes())?;
    let mut lines = BufReader::new(&stream).lines();
    while let Some(line) = lines.next().transpose()? {
        let number: u64 = line.parse().map_err(io::Error::other)?;
        before();
        (&stream).write_all(format!("{} {}\n", make(number), id()).as_bytes())?;
    }
    Ok(())
}

/// What is made of a number.
pub(crate) fn make(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995
}

fn talk(count: usize) -> Result<(), Error> {
    let total = Cell::new(0);
    processes(count)
        .attend(|worker: &Attendant<(u64, String), Option<u64>>| {
            while let Some((number, name)) = worker.channel().recv()? {
                assert_eq!(name, format!("{} of {}", worker.index(), worker.pid()));
                total.set(total.get() + number);
                worker.channel().send(&Some(total.get()))?;
                if total.get() == 2000 {
                    worker.stop();
                }
            }
            Ok(())
        })
        .run(|worker| {
            worker.ready();
            let name = format!("{} of {}", worker.index(), id());
            let mut last = 0;
            for _ in 0..1000 {
                worker.channel().send(&(1, name.clone()))?;
                let total = worker.channel().recv()?.flatten().unwrap();
                assert!(total > last);
                last = total;
            }
            println!("has heard {last}");
            worker.draining().wait();
            Ok(())
        })
}
