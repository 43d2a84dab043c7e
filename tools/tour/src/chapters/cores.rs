//! Chapter 12: every core, with workers as threads and as processes.

use crate::again::again;
use crate::text::Text;
use crate::tour::{Chapter, Outcome, Output, Step, stored};
use kettle::net::{TcpListener, TcpStream};
use kettle::processes::{Attendant, Error, Worker};
use kettle::sync::{Barrier, mpsc};
use kettle::{processes, thread, workers};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Every core", zh: "用上每个核心" },
    source: include_str!("cores.rs"),
    steps: &[
        Step {
            name: "every_core",
            title: Text { en: "an event loop on each core", zh: "每个核心一个事件循环" },
            text: Text {
                en: "One event loop is one thread. `workers(2)` has two of them, and both call the same function. A task stays
                     on the worker that has spawned it, for good; so what the tasks of one worker share is still a
                     `Cell`, without a lock.

                     What may run on any core says so: `spawn_anywhere` takes a function that is `Send`, and a worker with
                     nothing to do may take it until it begins. It may borrow from around the call, which returns
                     when all workers have ended, with what they return.",
                zh: "一个事件循环就是一个线程。`workers(2)` 有两个，它们调用同一个函数。任务在哪个 worker 上创建，就一直留在哪里；所以同一个
                     worker 的任务共享数据，用的仍是 `Cell`，不需要锁。

                     可以在任何核心上运行的，要明说：`spawn_anywhere` 接收一个 `Send` 的函数，在它开始之前，空闲的 worker 可以把它拿走。
                     它可以借用外面的数据：所有 worker 都结束了，`run` 才返回，带着它们各自的返回值。",
            },
            beside: stored!("every_core"),
            run: run_every_core,
        },
        Step {
            name: "one_listener",
            title: Text { en: "one door, two waiters", zh: "一扇门，两个侍者" },
            text: Text {
                en: "A listener is bound once, and all workers accept from it. Who of the two opens the door is chance; here
                     each opens it three times. A connection is handed to the worker that has least to do, `spawn_on` the
                     one that `least_loaded` names. There it stays, and `serve_tea` is written as for one core.",
                zh: "监听套接字只绑定一次，所有 worker 都从它接受连接。两个侍者谁去开门全凭运气；这里每人开三次。连接交给手头事情最少的
                     worker：`least_loaded` 指出是谁，`spawn_on` 就在那里创建任务。任务从此留在那里，`serve_tea` 的写法和单核时一样。",
            },
            beside: stored!("one_listener"),
            run: run_one_listener,
        },
        Step {
            name: "one_panics",
            title: Text { en: "a panic does not stay alone", zh: "一个 panic，全体收工" },
            text: Text {
                en: "Workers end together. If the function of one panics, those of the others are cancelled: the guest, on
                     another core, is unwound where he waits, and his destructor runs. When all have ended the panic goes on,
                     out of `run`. So half of a program never runs on without the other half. (The panic's own message is
                     on the error output.)",
                zh: "worker 同进同退。一个 worker 的函数 panic 了，其他 worker 的函数都会被取消：客人虽然在另一个核心上，也在他等待的地方展开，
                     析构函数照常运行。等全部结束之后，panic 再从 `run` 里传出来。所以绝不会半个程序已经没了，另外半个还在跑。（panic 自己的
                     消息在错误输出里。）",
            },
            beside: stored!("one_panics"),
            run: run_one_panics,
        },
        Step {
            name: "in_processes",
            title: Text { en: "a worker dies, and its guest is served", zh: "worker 死了，客人照样有茶" },
            text: Text {
                en: "Threads share a fate, processes need not. `processes(1)` is a supervisor and a worker of it, which is the
                     same program started again; so the tour runs itself once more here, and shows what that says. `serve`
                     runs in the worker, `look_after` beside it in the supervisor, and a typed channel joins the two.

                     The first guest's order kills the worker, while the second one waits at the door. The supervisor holds the
                     listener, so he is not sent away: a new worker serves him. A worker that dies again and again is given
                     up; SIGTERM lets all finish what they have begun; SIGHUP puts new workers, of a new executable, in
                     the place of the old ones. To try it by hand: `cargo run --release -p kettle --example processes --
                     --addr 127.0.0.1:7000 --workers 4`.",
                zh: "线程同生共死，进程则不必。`processes(1)` 是一个监督进程加一个 worker，worker 就是同一个程序再启动一次；所以导览在这里把
                     自己又运行了一遍，下面是它说的话。`serve` 在 worker 里运行，`look_after` 在监督进程里陪着它，两者之间是带类型的通道。

                     第一位客人点的东西要了 worker 的命，这时第二位还等在门口。监听套接字在监督进程手里，所以他不会被打发走：新的 worker
                     来招待他。反复死掉的 worker 会被放弃；SIGTERM 让大家把手头的事做完；SIGHUP 用新的可执行文件启动新 worker，换下旧的。
                     想亲手试试：`cargo run --release -p kettle --example processes -- --addr 127.0.0.1:7000 --workers 4`。",
            },
            beside: stored!("in_processes"),
            run: run_in_processes,
        },
    ],
    learned: Text {
        en: "`workers` is an event loop on each core: tasks stay, what may move says so, and all end together. `processes` is
             the same in processes: there one may die alone, and what waits at the door is not lost.",
        zh: "`workers` 在每个核心上运行一个事件循环：任务不挪窝，能挪的要明说，大家一起结束。`processes` 则把它们放进各自的进程：一个死了，
             别的照常，等在门口的也不会丢。",
    },
};

// listing: every_core
fn run_every_core(out: &Output) -> Outcome {
    let words = ["put", "the", "whistling", "kettle", "on"];
    let lines = workers(2).run(|worker| {
        // Neither these tasks nor what they share leave this core.
        let cups = Cell::new(0);
        thread::scope(|s| {
            for more in [3, 4] {
                let cups = &cups;
                s.spawn(move || cups.set(cups.get() + more));
            }
        });
        let anywhere = |word| worker.spawn_anywhere(move || str::len(word));
        let tasks = words.map(anywhere);
        let lengths = tasks.map(|task| task.join().expect("no panic"));
        let letters: usize = lengths.iter().sum();
        let (index, cups) = (worker.index(), cups.get());
        format!("worker {index}: {cups} cups, {letters} letters")
    })?;
    for line in lines {
        out.print(line);
    }
    Ok(())
}
// end of listing

// listing: one_listener
fn serve_tea(mut guest: TcpStream) -> io::Result<()> {
    let mut order = [0; 3];
    guest.read_exact(&mut order)?;
    guest.write_all(&order)
}

fn order_tea(house: &TcpListener) -> io::Result<String> {
    let mut table = TcpStream::connect(house.local_addr()?)?;
    table.write_all(b"tea")?;
    let mut served = String::new();
    table.read_to_string(&mut served)?;
    Ok(served)
}

fn run_one_listener(out: &Output) -> Outcome {
    let house = TcpListener::bind("127.0.0.1:0")?;
    let evenings = workers(2).run(|worker| {
        let here = worker.index();
        let order = |_| worker.spawn_on(here, || order_tea(&house));
        let guests = [0; 3].map(order);
        for guest in house.incoming().take(3) {
            let guest = guest?;
            worker.spawn_on(worker.least_loaded(), || serve_tea(guest));
        }
        let served = guests.map(|guest| guest.join().expect("no panic"));
        served.into_iter().collect::<io::Result<Vec<_>>>()
    })?;
    for (index, served) in evenings.into_iter().enumerate() {
        out.print(format_args!("guests of worker {index}: {:?}", served?));
    }
    Ok(())
}
// end of listing

// listing: one_panics
struct Guest(mpsc::Sender<&'static str>);

impl Drop for Guest {
    fn drop(&mut self) {
        _ = self.0.send("guest: gets up and leaves");
    }
}

fn run_one_panics(out: &Output) -> Outcome {
    let (tell, told) = mpsc::channel();
    let both = Barrier::new(2);
    let evening = || {
        workers(2).run(|worker| match worker.index() {
            0 => {
                let _guest = Guest(tell.clone());
                both.wait();
                thread::park();
            }
            _ => {
                both.wait();
                panic!("the kettle is dry");
            }
        })
    };
    let ended = catch_unwind(AssertUnwindSafe(evening));
    let panic = ended.expect_err("it is dry");
    out.print(told.try_recv()?);
    let panic = panic.downcast_ref::<&str>().ok_or("another panic")?;
    out.print(format_args!("out of `run`: {panic}"));
    Ok(())
}
// end of listing

// listing: in_processes
/// The worker's process: one guest after the other.
fn serve(worker: &Worker<String>) -> io::Result<()> {
    let addr = worker.listener().local_addr()?;
    worker.channel().send(&addr.to_string())?;
    for guest in worker.incoming() {
        let (mut guest, mut order) = (guest?, [0; 3]);
        guest.read_exact(&mut order)?;
        if order == *b"gin" {
            eprintln!("gin? This is a tea house");
            exit(1);
        }
        guest.write_all(&order)?;
    }
    Ok(())
}

/// Who waits at it.
type Door = Cell<Option<TcpStream>>;

/// The supervisor's, once for each process of the worker.
fn look_after(worker: &Attendant<String>, door: &Door) -> io::Result<()> {
    let Some(addr) = worker.channel().recv()? else { return Ok(()) };
    if let Some(mut second) = door.take() {
        let mut served = String::new();
        second.read_to_string(&mut served)?;
        eprintln!("the second guest is served {served}");
        worker.stop();
    } else {
        let mut first = TcpStream::connect(&addr)?;
        let mut second = TcpStream::connect(&addr)?;
        second.write_all(b"tea")?;
        door.set(Some(second));
        first.write_all(b"gin")?;
    }
    Ok(())
}

pub(crate) fn tea_house() -> Result<(), Error> {
    let door = Door::new(None);
    let house = processes(1).listen("127.0.0.1:0");
    house.attend(|worker| look_after(worker, &door)).run(serve)
}

fn run_in_processes(out: &Output) -> Outcome {
    // This program again; in that one `main` calls `tea_house`.
    for line in again()?.lines() {
        out.print(line);
    }
    Ok(())
}
// end of listing

#[cfg(test)]
mod tests {
    use super::*;
    use crate::again::is_again;

    /// The other program, where the test's own binary is to be it. In a test run it does nothing.
    #[test]
    fn again() {
        if is_again() {
            let ended = tea_house();
            if let Err(error) = &ended {
                eprintln!("{error}");
            }
            exit(i32::from(ended.is_err()));
        }
    }
}
