//! Chapter 7: the event loop, and tasks on it.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::net::{TcpListener, TcpStream};
use kettle::thread;
use kettle::{EventLoop, Task, TaskGroup};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "The event loop", zh: "事件循环" },
    source: include_str!("event_loop.rs"),
    steps: &[
        Step {
            name: "three_parts",
            title: Text { en: "coroutine, task manager, event scheduler", zh: "协程、任务管理器、事件调度器" },
            text: Text {
                en: "The tutorial's recipe has three parts. A coroutine is a function that can pause. A task manager keeps
                     many of them. An event scheduler tells each when what it waits for has happened. Here they are by
                     their names, three lines. `kettle::run(|| ...)` is the short form of all three.",
                zh: "教程的配方由三部分组成：协程，即可以暂停的函数；任务管理器，管着许多协程；事件调度器，在等待的事情发生时通知
                     对应的协程。这里就用它们本来的名字写出来，三行代码。`kettle::run(|| ...)` 则是三者合一的简写。",
            },
            beside: Beside::Python(twin!("three_parts")),
            run: run_three_parts,
        },
        Step {
            name: "television",
            title: Text { en: "waiting without idling", zh: "等待而不闲着" },
            text: Text {
                en: "No `await` here, and no colours of functions: the code is that of two threads, and `kettle::thread`
                     has the names of `std::thread`. But they are tasks. While the kettle warms up Zhang has the
                     processor, and both borrow `out` from the function that runs them, without a lock.",
                zh: "这里没有 `await`，函数也不分颜色：写法和两个线程一模一样，`kettle::thread` 用的就是 `std::thread` 的名字。但它们
                     其实是任务。水在加热的时候，处理器归老张用；两个任务都从外层函数借用 `out`，不需要锁。",
            },
            beside: Beside::Python(twin!("television")),
            run: run_television,
        },
        Step {
            name: "ten_thousand",
            title: Text { en: "ten thousand tasks talk", zh: "一万个任务同时对话" },
            text: Text {
                en: "Five thousand clients, and a task for each of them at the server: ten thousand tasks, real sockets,
                     one thread. Each is plain blocking code with std's `Read` and `Write`. After that the switches
                     alone: tasks that do nothing but let each other go first. The tutorial speaks of a million a
                     second.",
                zh: "五千个客户端，服务器端为每个客户端各开一个任务：一共一万个任务，真实的套接字，一个线程。每个任务都是普通的阻塞式
                     代码，用的是标准库的 `Read` 和 `Write`。之后单独测量切换：任务什么也不做，只是互相让路。教程里说的是一秒钟上百万次。",
            },
            beside: Beside::Python(twin!(measured "ten_thousand")),
            run: run_ten_thousand,
        },
    ],
    learned: Text {
        en: "Tasks are coroutines that wait for the world, and an event loop runs others meanwhile. The code is that of threads; the cost is not.",
        zh: "任务就是等待外部事件的协程；它等待的时候，事件循环运行别的任务。写法和线程一样，代价却小得多。",
    },
};

// listing: three_parts
fn run_three_parts(out: &Output) -> Outcome {
    let kettle = Task::new(|| "the water boils");
    let tasks = TaskGroup::from([kettle, Task::new(|| "the news is over")]);
    let results = EventLoop::new()?.run(tasks);
    for result in results {
        out.print(result);
    }
    Ok(())
}
// end of listing

// listing: television
fn run_television(out: &Output) -> Outcome {
    let kettle = || {
        out.print("kettle: on the fire");
        thread::sleep(Duration::from_millis(20));
        out.print("kettle: it whistles");
    };
    let zhang = || {
        for programme in ["the news", "the weather"] {
            out.print(format_args!("zhang:  watches {programme}"));
            thread::yield_now();
        }
    };
    kettle::run(|| {
        thread::scope(|s| {
            s.spawn(kettle);
            s.spawn(zhang);
        });
    });
    Ok(())
}
// end of listing

// listing: ten_thousand
fn answer(mut client: TcpStream) -> io::Result<()> {
    // The word of a peer that has gone may be lost on the way.
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut cup = [0; 64];
    loop {
        match client.read(&mut cup)? {
            0 => return Ok(()),
            len => client.write_all(&cup[..len])?,
        }
    }
}

fn talk(server: &TcpListener, words: u32) -> io::Result<u32> {
    let mut stream = TcpStream::connect(server.local_addr()?)?;
    let mut cup = [0; 6];
    for _ in 0..words {
        stream.write_all(b"kettle")?;
        stream.read_exact(&mut cup)?;
    }
    Ok(words)
}

fn conversations(clients: u32) -> io::Result<u32> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    thread::scope(|s| {
        s.spawn(|| {
            for client in server.incoming().take(clients as usize) {
                s.spawn(|| client.and_then(answer));
            }
        });
        let client = |_| s.spawn(|| talk(&server, 5));
        let talks: Vec<_> = (0..clients).map(client).collect();
        talks.into_iter().map(|talk| talk.join().expect("no panic")).sum()
    })
}

fn switches(tasks: u32) -> f64 {
    let turns = 2_000_000 / tasks;
    let start = Instant::now();
    thread::scope(|s| {
        for _ in 0..tasks {
            s.spawn(|| (0..turns).for_each(|_| thread::yield_now()));
        }
    });
    f64::from(turns * tasks) / start.elapsed().as_secs_f64()
}

fn run_ten_thousand(out: &Output) -> Outcome {
    // Each has two ends; a process has so many descriptors.
    let clients = (crate::limits::descriptors() / 2 - 50).min(5000);
    let start = Instant::now();
    let words = kettle::run(|| conversations(clients))?;
    let rate = f64::from(words) / start.elapsed().as_secs_f64() / 1e3;
    out.print(format_args!("{words} answers: {rate:.0} thousand a second"));
    for tasks in [2, 10_000] {
        let rate = kettle::run(|| switches(tasks)) / 1e6;
        out.print(format_args!("{tasks:>6}: {rate:>5.1} million a second"));
    }
    Ok(())
}
// end of listing
