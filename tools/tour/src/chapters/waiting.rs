//! Chapter 8: one operation, and the four ways to ask for it.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::thread;
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Four ways to wait", zh: "等水开的四种方式" },
    source: include_str!("waiting.rs"),
    steps: &[Step {
        name: "four_ways",
        title: Text { en: "call, poll, join, be notified", zh: "调用、轮询、等待结束、接受通知" },
        text: Text {
            en: "Old Zhang has two kettles, an ordinary one and one that whistles; and he can stand and wait, or watch
                 television. That makes the tutorial's four cases. Synchronous or asynchronous is a matter of the kettle:
                 does it say by itself that the water boils? Blocking or not is a matter of Zhang: does he stand there?

                 `boil` is the same function in all four. Called, it is an ordinary kettle and he waits. As a task it can
                 be looked at (`is_finished`), waited for (`join`), or it whistles (`on_done`): the function that it is
                 given runs when the water boils, and until then Zhang doesn't look.",
            zh: "老张有两把水壶，一把普通水壶，一把响水壶；他可以立等水开，也可以去看电视。这就是教程里的四种情形。同步还是异步，看的是水壶：
                 水开了它会不会自己说？阻塞还是非阻塞，看的是老张：他是不是站在那里等？

                 四种情形里 `boil` 是同一个函数。直接调用它，就是守着普通水壶立等。把它作为任务启动，就可以时不时看一眼
                 （`is_finished`），可以等它结束（`join`），也可以让它响（`on_done`）：水一开，交给它的函数就会运行，在此之前老张
                 一眼也不用看。",
        },
        beside: Beside::Python(twin!("four_ways")),
        run: run_four_ways,
    }],
    learned: Text {
        en: "Whether an operation can tell its end is a property of the operation; how to wait for it is the choice of who
             calls. A task offers all four ways, and the last one wastes nothing.",
        zh: "操作能不能告知自己的结束，是操作的性质；怎样等它，是调用者的选择。一个任务同时提供四种方式，其中最后一种什么都不浪费。",
    },
};

// listing: four_ways
type Diary = Rc<RefCell<Vec<&'static str>>>;

fn boil() -> &'static str {
    for _minute in 0..3 {
        thread::yield_now();
    }
    "  the water boils"
}

fn spend_an_evening(diary: &Diary) {
    let note = |line| diary.borrow_mut().push(line);

    note("synchronous, blocking: call");
    note(boil());

    note("synchronous, non-blocking: poll");
    let kettle = thread::spawn(boil);
    while !kettle.is_finished() {
        note("  he watches television, and goes to look");
        thread::yield_now();
    }
    note(kettle.join().expect("it boils"));

    note("asynchronous, blocking: join");
    let kettle = thread::spawn(boil);
    note(kettle.join().expect("it boils"));

    note("asynchronous, non-blocking: be notified");
    let kettle = thread::spawn(boil);
    let whistle = kettle.on_done({
        let diary = Rc::clone(diary);
        move |water| {
            diary.borrow_mut().push("  it whistles");
            water.expect("it boils")
        }
    });
    for episode in ["  episode 1", "  episode 2", "  episode 3"] {
        note(episode);
        thread::yield_now();
        thread::yield_now();
    }
    note("  and so to bed");
    note(whistle.join().expect("it whistles"));
}

fn run_four_ways(out: &Output) -> Outcome {
    let diary = Diary::default();
    kettle::run(|| spend_an_evening(&diary));
    for line in diary.take() {
        out.print(line);
    }
    Ok(())
}
// end of listing
