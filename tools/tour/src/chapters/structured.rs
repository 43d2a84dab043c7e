//! Chapter 10: structured concurrency: tasks that end where they began.

use crate::text::Text;
use crate::tour::{Chapter, Outcome, Output, Step, stored};
use kettle::net::{TcpListener, TcpStream};
use kettle::time::Duration;
use kettle::{shield, task, task_group, thread, timeout};
use std::io::{self, Read, Write};

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Structured concurrency", zh: "结构化并发" },
    source: include_str!("structured.rs"),
    steps: &[
        Step {
            name: "task_group",
            title: Text { en: "no task is lost, no error is lost", zh: "任务不会丢，错误也不会丢" },
            text: Text {
                en: "A task that nobody waits for is like a kettle left on the fire, and an error that nobody asks for is
                     gone. In a `task_group` neither can happen: it returns when all of its tasks have ended. So they may
                     borrow, here `out`.

                     The first task that fails cancels the others. The guest is unwound where he waits, and his destructor
                     runs. The cook hears it too late: he fails by himself. Both errors are in the one that the group
                     gives, the first one first.",
                zh: "没人等的任务，就像忘在火上的水壶；没人问的错误，就这样丢了。在 `task_group` 里两者都不会发生：所有任务都结束了它才返回，
                     所以任务可以借用外面的数据，这里是 `out`。

                     第一个失败的任务会取消其余的任务。客人在他等待的地方展开，析构函数照常运行。厨师来不及理会取消，自己也失败了。两个错误
                     都在任务组给出的那一个里，先发生的在前。",
            },
            beside: stored!("task_group"),
            run: run_task_group,
        },
        Step {
            name: "deadline",
            title: Text { en: "a deadline for all that is inside", zh: "时限管住里面的一切" },
            text: Text {
                en: "`timeout` bounds whatever runs inside, calls at any depth and tasks of groups included; none of them
                     needs a parameter for it. When the time is up every place that waits is unwound, and the error says
                     why. The deadline belongs to the block: what comes after it is not touched. Time limits nest; the
                     nearest one ends first.",
                zh: "`timeout` 管住里面运行的一切，包括任意深的调用和任务组里的任务，它们谁也不用为此多带一个参数。时间一到，所有正在等待的
                     地方都会展开，错误里写明原因。时限只属于这一段代码，后面的代码不受影响。时限可以嵌套，先到的先生效。",
            },
            beside: stored!("deadline"),
            run: run_deadline,
        },
        Step {
            name: "shield",
            title: Text { en: "a goodbye that is not cut short", zh: "好好道别" },
            text: Text {
                en: "A task that is cancelled is unwound at its next checkpoint, and at each one after that. What has to
                     be said all the same, as a goodbye to the other end, is put into a `shield`: there the task waits as
                     if nothing had happened. The cancellation is not lost: it is raised at the first checkpoint after.
                     Whoever shields makes others wait, so give the shield a time of its own.",
                zh: "被取消的任务在下一个检查点展开，此后的每一个检查点也都如此。有些话无论如何也得说完，比如向对方道别，就把它放进
                     `shield`：任务在里面照常等待，就像什么都没发生过。取消不会丢：出来之后的第一个检查点就会生效。屏蔽取消会让别人等，
                     所以要给它自己的时限。",
            },
            beside: stored!("shield"),
            run: run_shield,
        },
        Step {
            name: "family",
            title: Text { en: "who waits for whom", zh: "谁在等谁" },
            text: Text {
                en: "Since every task of a group has a parent that waits for it, the tasks make a tree, and it can be
                     looked at: `task::tree()` has each task with its name, where it was spawned, what it waits for, and
                     whose child it is. A program that seems to hang says itself why. The root is
                     what `run` was given.",
                zh: "任务组里的每个任务都有一个等着它的父任务，所以任务构成一棵树，而且可以查看：`task::tree()` 列出每个任务的名字、创建的
                     位置、在等什么、是谁的孩子。程序好像卡住了，让它自己说明原因。树根就是交给 `run` 的函数。",
            },
            beside: stored!("family"),
            run: run_family,
        },
    ],
    learned: Text {
        en: "Tasks end where they began: a group returns when all of its tasks are gone, with every error. Time limits and
             cancelling follow the blocks of the code, and a shield makes room for what has to be finished.",
        zh: "任务在哪里开始，就在哪里结束：任务组返回时，它的任务全都结束了，错误一个不少。时限和取消跟着代码块走，必须做完的事则用 `shield`
             留出余地。",
    },
};

// listing: task_group
struct Guest<'a>(&'a Output<'a>);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.print("guest: gets up and leaves");
    }
}

fn run_task_group(out: &Output) -> Outcome {
    kettle::run(|| {
        let cups = task_group(|group| {
            let boil = |cups| group.spawn(move || Ok::<_, &str>(cups));
            let pots = [2, 3].map(boil);
            Ok(pots.into_iter().flat_map(|pot| pot.join()).sum::<u32>())
        });
        let cups = cups.expect("both are filled");
        out.print(format_args!("all is well: {cups} cups"));

        let failed = task_group(|group| {
            group.spawn(|| {
                let _guest = Guest(out);
                thread::sleep(Duration::MAX);
                Ok(())
            });
            group.spawn(|| {
                shield(thread::yield_now);
                Err::<(), _>("the cook: no clean cups")
            });
            group.spawn(|| Err::<(), _>("the kettle: no water"));
            Ok(())
        });
        let error = failed.expect_err("two tasks fail");
        out.print(&error);
        for error in &error {
            out.print(format_args!("  {error}"));
        }
    });
    Ok(())
}
// end of listing

// listing: deadline
fn boil_for_ever(out: &Output, name: &str) -> io::Result<()> {
    out.print(format_args!("{name}: on the fire"));
    thread::sleep(Duration::MAX);
    unreachable!("it has been cancelled")
}

fn run_deadline(out: &Output) -> Outcome {
    kettle::run(|| {
        let evening = Duration::from_millis(200);
        let late = timeout(evening, || {
            task_group(|kitchen| {
                kitchen.spawn(|| boil_for_ever(out, "kettle"));
                kitchen.spawn(|| boil_for_ever(out, "samovar"));
                Ok(())
            })
        });
        out.print(late.expect_err("the time is up"));
        thread::sleep(Duration::from_millis(1));
        out.print("outside of it: nothing is cancelled");

        let short = Duration::from_millis(1);
        let inner = timeout(Duration::MAX, || timeout(short, thread::park));
        out.print(match inner {
            Ok(Err(_)) => "of two time limits the nearer one has ended",
            Ok(Ok(())) | Err(_) => "that can't be",
        });
    });
    Ok(())
}
// end of listing

// listing: shield
fn visit(mut host: TcpStream, out: &Output) -> io::Result<()> {
    let mut tea = [0; 3];
    let served = host.read_exact(&mut tea);
    if served.is_err() {
        out.print("guest: can't wait any longer");
        let goodbye = || host.write_all(b"thank you, goodbye");
        shield(|| timeout(Duration::from_secs(5), goodbye))??;
        out.print("guest: has said goodbye");
    }
    // Cancelled still: here it is unwound.
    thread::yield_now();
    served
}

fn listen(house: &TcpListener) -> io::Result<String> {
    let mut said = String::new();
    house.accept()?.0.read_to_string(&mut said)?;
    Ok(said)
}

fn meet(out: &Output) -> io::Result<()> {
    let house = TcpListener::bind("127.0.0.1:0")?;
    let guest = TcpStream::connect(house.local_addr()?)?;
    let said = task_group(|group| {
        let host = group.spawn(|| listen(&house));
        let evening = Duration::from_millis(200);
        let visit = timeout(evening, || visit(guest, out));
        out.print(visit.expect_err("no tea is served"));
        Ok(host.join())
    })?;
    out.print(format_args!("the host has heard: {said:?}"));
    Ok(())
}

fn run_shield(out: &Output) -> Outcome {
    Ok(kettle::run(|| meet(out))?)
}
// end of listing

// listing: family
fn run_family(out: &Output) -> Outcome {
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let look = || {
        for task in task::tree().tasks() {
            let name = task.name().unwrap_or("root");
            let margin = "  ".repeat(task.depth());
            out.print(format!("{margin}{name} {}", task.state()));
        }
    };
    kettle::run(|| {
        let house = task_group(|house| {
            named("kitchen").spawn_grouped(house, || {
                task_group(|kitchen| {
                    let boil = || {
                        thread::park();
                        Ok(())
                    };
                    named("kettle").spawn_grouped(kitchen, boil)?;
                    Ok(())
                })
                .map_err(io::Error::from)
            })?;
            thread::yield_now();
            thread::yield_now();
            look();
            house.cancel();
            io::Result::Ok(())
        });
        house.expect("nothing has failed");
        out.print("cancelled, and everybody is gone:");
        look();
    });
    Ok(())
}
// end of listing
