//! Chapter 11: tests that need no luck: time, order and network from a seed.

use crate::text::Text;
use crate::tour::{Chapter, Outcome, Output, Step, stored};
use kettle::sync::mpsc;
use kettle::testing::{Failure, Simulation, simulate};
use kettle::time::{Duration, Instant};
use kettle::{thread, timeout};
use std::cell::Cell;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Testing with a seed", zh: "用种子做测试" },
    source: include_str!("seeds.rs"),
    steps: &[
        Step {
            name: "lost_update",
            title: Text { en: "a lost update, found", zh: "找出丢失的更新" },
            text: Text {
                en: "Tasks of one thread never run at the same time, so they need no locks; but where one waits, others run.
                     Two clerks count the cups that they sell. Each looks at the sum, prints a receipt, and writes the sum
                     plus one. To send to the printer is a checkpoint. As a rule nobody waits there, and all is well; a
                     test in the ordinary way passes, today and for a long time.

                     `explore` runs the function once for each seed, and from the seed follows who runs when: also whether
                     a task pauses at a checkpoint where it need not. A seed that fails is then shortened to the least
                     that has to happen. (The panic itself, on the error output, is the test's own.)",
                zh: "同一线程上的任务绝不会同时运行，所以不需要锁；但一个任务等待的时候，别的任务会运行。两个店员在记卖出的杯数：看一眼总数，
                     打印小票，再写下总数加一。把小票送给打印机是一个检查点。那里通常不用等，一切正常；用普通的办法测试，今天通过，以后很久也
                     都会通过。

                     `explore` 对每个种子运行一次函数，任务运行的先后由种子决定，包括任务在不必等待的检查点是否停一停。找到失败的种子之后，再把
                     它缩短到非发生不可的那几步。（错误输出里的 panic 是测试自己的。）",
            },
            beside: stored!("lost_update"),
            run: run_lost_update,
        },
        Step {
            name: "replay",
            title: Text { en: "again, until it is mended", zh: "重现，直到修好" },
            text: Text {
                en: "A seed is the whole run: the same one loses the same cup, as often as you like, with each step of it
                     the same. So there is time to look at it, with prints or a debugger. `KETTLE_SEED`, as the step before
                     prints it, repeats it without a change to the code, also in this tour: set it and run
                     `--step lost_update`.

                     Mended, the clerk looks at the sum when he writes it, and nothing comes between. The same seeds again:
                     none fails.",
                zh: "种子就是整个运行过程：同一个种子丢的总是同一杯，想重现多少次都行，每一步都一样。于是可以从容地查，加打印也好，用调试器
                     也好。上一步打印出的 `KETTLE_SEED` 不用改代码就能重现它，在本导览里也行：设好它，再运行 `--step lost_update`。

                     修正之后，店员在写的时候才看总数，中间插不进别的事。再用同样的种子跑一遍：没有一个失败。",
            },
            beside: stored!("replay"),
            run: run_replay,
        },
        Step {
            name: "virtual_time",
            title: Text { en: "a day in no time", zh: "一天转眼就过" },
            text: Text {
                en: "In a simulation time is virtual. It stands still while a task can run, and jumps when all of them wait.
                     So a test may wait for hours, and time limits end to the nanosecond where they should. `simulate` is
                     one run with one seed. The network is simulated as well, with latencies, short reads, resets and
                     hosts that are parted.",
                zh: "模拟中的时间是虚拟的：还有任务能运行时它不动，所有任务都在等待时它就往前跳。所以测试可以等上几个小时，时限也会在该到的时候
                     到，一纳秒不差。`simulate` 用一个种子运行一次。网络也是模拟的，有延迟、短读、连接重置和互相隔离的主机。",
            },
            beside: stored!("virtual_time"),
            run: run_virtual_time,
        },
    ],
    learned: Text {
        en: "What depends on time, order or the network depends on a seed in a test. `explore` finds the seed that fails,
             says the least that leads to it, and `KETTLE_SEED` brings it back.",
        zh: "在测试里，凡是取决于时间、先后或网络的，都取决于种子。`explore` 找出会失败的种子，指出导致失败的最少几步，`KETTLE_SEED` 则让它重现。",
    },
};

// listing: lost_update
fn sell() -> u32 {
    let (printer, _receipts) = mpsc::channel();
    let sold = Cell::new(0);
    thread::scope(|s| {
        for clerk in ["Li", "Wang"] {
            let (printer, sold) = (printer.clone(), &sold);
            s.spawn(move || {
                let sum = sold.get();
                // Here the other clerk may run: this is the bug.
                printer.send(clerk).expect("there is paper");
                sold.set(sum + 1);
            });
        }
    });
    sold.get()
}

fn search(sell: fn() -> u32) -> Result<u64, Failure> {
    let test = || assert_eq!(sell(), 2, "a cup is lost");
    Simulation::new(0).explore(0..100, test)
}

fn run_lost_update(out: &Output) -> Outcome {
    let sold = kettle::run(sell);
    out.print(format_args!("an ordinary run: {sold} cups"));
    let failure = search(sell).expect_err("some seed fails");
    for line in failure.to_string().lines() {
        out.print(line);
    }
    Ok(())
}
// end of listing

// listing: replay
fn sell_mended() -> u32 {
    let (printer, _receipts) = mpsc::channel();
    let sold = Cell::new(0);
    thread::scope(|s| {
        for clerk in ["Li", "Wang"] {
            let (printer, sold) = (printer.clone(), &sold);
            s.spawn(move || {
                printer.send(clerk).expect("there is paper");
                sold.set(sold.get() + 1);
            });
        }
    });
    sold.get()
}

fn run_replay(out: &Output) -> Outcome {
    let failure = search(sell).expect_err("some seed fails");
    let simulation = Simulation::new(failure.seed()).recorded();
    let first = simulation.run(sell)?;
    for _ in 0..2 {
        let again = simulation.run(sell)?;
        let same = again.trace.to_string() == first.trace.to_string();
        out.print(format!("{} cup, the same steps: {same}", again.value));
    }
    let seeds = search(sell_mended)?;
    out.print(format_args!("mended: {seeds} seeds, and no cup is lost"));
    Ok(())
}
// end of listing

// listing: virtual_time
fn run_virtual_time(out: &Output) -> Outcome {
    let hour = Duration::from_secs(3600);
    let lines = simulate(7, || {
        let start = Instant::now();
        let tea = thread::spawn(move || thread::sleep(2 * hour));
        let late = timeout(hour, || tea.join());
        let waited = start.elapsed();
        thread::sleep(23 * hour);
        [
            format!("{}", late.expect_err("it takes two hours")),
            format!("after {waited:?}"),
            format!("the day is over after {:?}", start.elapsed()),
        ]
    });
    for line in lines {
        out.print(line);
    }
    Ok(())
}
// end of listing
