//! The tree of tasks: who waits for what, and who belongs to whom.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
#![allow(clippy::unit_arg, reason = "what a task gives is often nothing")]

use kettle_rt::driver::Op;
use kettle_rt::{
    Builder, EventLoop, Task, TaskGroup, TaskInfo, TaskState, Thread, Wait, Waiter, Woken, current, operate, park,
    scope, sleep, spawn, task_group, tree, yield_now,
};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

fn read(socket: &UnixStream) {
    let mut buf = [0; 8];
    let op = Op::Recv { fd: socket.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: 0 };
    // SAFETY: the buffer is this frame's.
    unsafe { operate(op, None) };
}

#[test]
fn a_tree_says_what_each_task_waits_for() {
    run(|| {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let named = |name: &str| Builder::new().name(name.to_owned());
        let ended = task_group(|group| {
            named("sleep").spawn_grouped(group, || Ok(sleep(Duration::MAX))).unwrap();
            named("park").spawn_grouped(group, || Ok(park())).unwrap();
            named("join").spawn_grouped(group, || Ok(drop(spawn(park).join()))).unwrap();
            named("scope").spawn_grouped(group, || Ok(scope(|s| drop(s.spawn(park))))).unwrap();
            named("read").spawn_grouped(group, || Ok(read(&socket))).unwrap();
            named("notice").spawn_grouped(group, || Ok(assert_ne!(Waiter::new().wait(None), Woken::Notified))).unwrap();
            let results = || {
                task_group(|group| {
                    let mut results = group.results();
                    results.spawn(|| Ok::<_, ()>(park()));
                    Ok(results.by_ref().count())
                })
            };
            named("results").spawn_grouped(group, move || results().map(drop).map_err(drop)).unwrap();
            yield_now();
            yield_now();
            group.limit(1).unwrap();
            named("turn").spawn_grouped(group, || Ok(())).unwrap();
            named("alone").spawn(|| ()).unwrap();
            let tree = tree();
            let state = |name| {
                let task = tree.tasks().iter().find(|task| task.name() == Some(name)).unwrap();
                (task.state(), task.depth(), task.parent().is_some())
            };
            for (name, wait) in [
                ("sleep", Wait::Sleep),
                ("park", Wait::Park),
                ("join", Wait::Join),
                ("scope", Wait::Tasks),
                ("read", Wait::Read),
                ("notice", Wait::Notice),
                ("results", Wait::Results),
                ("turn", Wait::Turn),
            ] {
                assert_eq!(state(name), (TaskState::Waiting(wait), 1, true), "{name}");
            }
            assert_eq!(state("alone"), (TaskState::Ready, 0, false));
            let me = tree.get(current().id()).unwrap();
            assert_eq!((me.state(), me.depth(), me.parent()), (TaskState::Running, 0, None));
            assert_eq!(tree.children(me.id()).count(), 8);
            assert!(tree.tasks().iter().all(|task| !task.is_cancelled()));
            Err::<(), _>(())
        });
        assert!(ended.is_err());
        // What has ended is not in it. (The one that was joined belongs to nobody.)
        yield_now();
        assert_eq!(tree().tasks().len(), 2);
    });
    assert!(tree().tasks().is_empty());
}

#[test]
fn a_tree_is_shown_as_an_indented_list() {
    run(|| {
        scope(|s| {
            let (parent, line) = (Builder::new().name("parent".to_owned()), line!() + 1);
            let parent = parent.spawn_scoped(s, || scope(|s| drop(s.spawn(park)))).unwrap();
            yield_now();
            yield_now();
            parent.cancel();
            let number =
                |line: &str| line.trim_start().strip_prefix('#').unwrap().split(' ').next().unwrap().to_owned();
            let shown = tree().to_string();
            let lines: Vec<_> = shown.lines().collect();
            let file = file!();
            assert_eq!(lines.len(), 3, "{shown}");
            assert!(lines[0].starts_with('#') && lines[0].ends_with(": runs"), "{shown}");
            let of_parent =
                format!("  #{} `parent` at {file}:{line}:33: waits for its tasks, cancelled", number(lines[1]));
            assert_eq!(lines[1], of_parent);
            let of_child = format!("    #{} at {file}:{line}:69: is ready, cancelled", number(lines[2]));
            assert_eq!(lines[2], of_child);
        });
    });
}

#[test]
fn each_way_of_spawning_says_where() {
    let at = |task: &TaskInfo| (task.spawned_at().file(), task.spawned_at().line());
    let of = move |thread: &Thread| at(tree().get(thread.id()).unwrap());
    run(|| {
        let (handle, line) = (spawn(park), line!());
        assert_eq!(of(handle.thread()), (file!(), line));
        task_group(|group| {
            let spawner = group.spawner();
            let (handle, line) = (spawner.spawn(|| Ok(park())).unwrap(), line!());
            assert_eq!(of(handle.thread()), (file!(), line));
            let results = group.results();
            let (handle, line) = (results.spawn(|| Ok::<_, ()>(park())), line!());
            assert_eq!(of(handle.thread()), (file!(), line));
            let (handle, line) = (group.spawn(|| Ok(park())), line!());
            assert_eq!(of(handle.thread()), (file!(), line));
            Ok(group.cancel())
        })
        .unwrap();
    });
    let (task, line) = (Task::new(move || of(&current())), line!());
    let tasks = TaskGroup::from([task]);
    assert_eq!(EventLoop::new().unwrap().run(tasks), [(file!(), line)]);
    let (root, line) = (run_here(), line!());
    assert_eq!(root, (file!(), line));
}

#[track_caller]
fn run_here() -> (&'static str, u32) {
    EventLoop::new().unwrap().run(|| {
        let tree = tree();
        (tree.tasks()[0].spawned_at().file(), tree.tasks()[0].spawned_at().line())
    })
}

#[test]
fn a_tree_has_a_hundred_thousand_tasks() {
    run(|| {
        scope(|s| {
            for _ in 0..100_000 {
                s.spawn(|| ());
            }
            assert_eq!(tree().tasks().len(), 100_001);
        });
        assert_eq!(tree().tasks().len(), 1);
    });
}
