//! Forks in the middle of a loop that serves: the parent's connections go on, and the child is no second parent.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::{TcpListener, TcpStream};
use kettle::thread;
use kettle::time::Duration;
use sockets::{listener, pair, udp_pair};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

const CONNECTIONS: usize = 20;

/// How a child has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Exit(i32),
    Signal(i32),
}

/// Forks. The child does this and ends, with 1 if it has panicked.
fn fork(child: impl FnOnce()) -> libc::pid_t {
    let pid = fork_and_return();
    if pid == 0 {
        let panicked = catch_unwind(AssertUnwindSafe(child)).is_err();
        // SAFETY: ends the child at once, without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(panicked)) }
    }
    pid
}

/// Forks, and gives 0 in the child.
fn fork_and_return() -> libc::pid_t {
    // SAFETY: the child uses nothing that another thread of this process may have locked.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    pid
}

/// Waits for a child's end. It blocks the thread.
fn end_of(pid: libc::pid_t) -> End {
    let mut status = 0;
    // SAFETY: a variable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFEXITED(status) { End::Exit(libc::WEXITSTATUS(status)) } else { End::Signal(libc::WTERMSIG(status)) }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 64];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            len => stream.write_all(&buf[..len])?,
        }
    }
}

fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        thread::spawn(|| echo(stream));
    }
}

/// Does it in a task of a loop that serves these connections, and any that come: each is asked before and after.
fn served<T>(f: impl FnOnce() -> T) -> T {
    let (listener, addr) = listener();
    thread::spawn(|| serve(listener));
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let mut ask = |byte: u8| {
        for stream in &mut streams {
            for round in 0..10 {
                stream.write_all(&[byte, round]).unwrap();
                let mut answer = [0; 2];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [byte, round]);
            }
        }
    };
    ask(1);
    let open = descriptors();
    let result = f();
    ask(2);
    assert_eq!(descriptors(), open);
    assert!(echoes(addr), "a new connection is served by the parent");
    result
}

fn echoes(addr: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn children_that_end_or_become_another_program_leave_the_parent_alone() {
    alone("children_that_end_or_become_another_program_leave_the_parent_alone", || {
        kettle::run(|| {
            served(|| {
                for _ in 0..10 {
                    assert_eq!(end_of(fork(|| {})), End::Exit(0));
                    let exits = fork(|| std::process::exit(7));
                    assert_eq!(end_of(exits), End::Exit(7));
                    let another = fork(|| {
                        let args = [c"true".as_ptr(), std::ptr::null()];
                        // SAFETY: a string, and a list of strings that ends with null.
                        unsafe { libc::execvp(args[0], args.as_ptr()) };
                        panic!("it is another program now");
                    });
                    assert_eq!(end_of(another), End::Exit(0));
                    // Also before the child has ended.
                    let later = fork(|| {});
                    thread::yield_now();
                    assert_eq!(end_of(later), End::Exit(0));
                }
            });
        });
    });
}

#[test]
fn a_child_of_a_thread_that_is_outside_of_run_exits_as_it_says() {
    alone("a_child_of_a_thread_that_is_outside_of_run_exits_as_it_says", || {
        // The thread has a loop of its own, and leaves a task behind.
        thread::spawn(thread::park);
        thread::yield_now();
        assert_eq!(end_of(fork(|| std::process::exit(7))), End::Exit(7));
        // And so has one that is inside of a `run`.
        kettle::run(|| assert_eq!(end_of(fork(|| std::process::exit(7))), End::Exit(7)));
    });
}

#[test]
fn in_a_child_calls_block_as_outside_of_tasks() {
    alone("in_a_child_calls_block_as_outside_of_tasks", || {
        kettle::run(|| {
            served(|| {
                let (mut ours, mut theirs) = pair();
                let (our_post, their_post) = udp_pair();
                let waiting = thread::spawn(thread::park);
                let pid = fork(|| {
                    assert_eq!(thread::spawn(|| 7).join().unwrap(), 7);
                    thread::sleep(Duration::from_millis(1));
                    thread::yield_now();
                    waiting.thread().unpark();
                    let (listener, addr) = listener();
                    let mut here = TcpStream::connect(addr).unwrap();
                    listener.accept().unwrap().0.write_all(b"x").unwrap();
                    here.read_exact(&mut [0]).unwrap();
                    // The parent answers when the child has spoken: this waits.
                    theirs.write_all(b"whistle").unwrap();
                    let mut answer = [0; 3];
                    theirs.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"tea");
                    their_post.send(b"more?").unwrap();
                    assert_eq!(their_post.recv_from(&mut answer).unwrap().0, 3);
                });
                let mut heard = [0; 7];
                ours.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, b"whistle");
                ours.write_all(b"tea").unwrap();
                assert_eq!(our_post.recv(&mut heard).unwrap(), 5);
                our_post.send(b"tea").unwrap();
                assert_eq!(end_of(pid), End::Exit(0));
                assert!(!waiting.is_finished());
                // The child's end of it is gone, this one's is there.
                theirs.write_all(b"!").unwrap();
                ours.read_exact(&mut [0]).unwrap();
            });
        });
    });
}

#[test]
fn what_a_child_cancels_runs_in_it_no_more_than_before() {
    alone("what_a_child_cancels_runs_in_it_no_more_than_before", || {
        kettle::run(|| {
            let cancelled = kettle::cancel_scope(|tea| {
                thread::scope(|s| {
                    let waiting = s.spawn(thread::park);
                    thread::yield_now();
                    let pid = fork(|| {
                        thread::spawn(|| {}).join().unwrap();
                        tea.cancel();
                        thread::yield_now();
                        assert!(!waiting.is_finished());
                    });
                    assert_eq!(end_of(pid), End::Exit(0));
                    assert!(!waiting.is_finished());
                    tea.cancel();
                });
            });
            assert!(cancelled.is_err());
        });
    });
}

#[test]
fn a_child_may_run_a_loop_of_its_own() {
    alone("a_child_may_run_a_loop_of_its_own", || {
        kettle::run(|| {
            served(|| {
                let pid = fork(|| {
                    kettle::run(|| {
                        served(|| thread::scope(|s| drop(s.spawn(thread::yield_now))));
                    });
                });
                assert_eq!(end_of(pid), End::Exit(0));
            });
        });
    });
}

const MESSAGE: &str = "return from a task in a forked process: its event loop is the parent's, so end the process by \
                       `exit` or `exec`\n";

/// Forks, and returns in both. What the child says from then on goes into the pipe.
fn fork_to_go_on(says: PipeWriter) -> libc::pid_t {
    let pid = fork_and_return();
    if pid == 0 {
        // SAFETY: no pointers.
        unsafe { libc::dup2(says.as_raw_fd(), libc::STDERR_FILENO) };
    }
    pid
}

/// That a child says this, and is aborted.
fn assert_aborts(mut said: PipeReader, pid: libc::pid_t, message: &str) {
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert_eq!(text, message);
    assert_eq!(end_of(pid), End::Signal(libc::SIGABRT));
}

/// A task that is always ready, and says who runs it.
fn tell_who_runs() -> (thread::JoinHandle<()>, PipeReader) {
    let (heard, mut says) = io::pipe().unwrap();
    let task = thread::spawn(move || {
        for _ in 0..100 {
            says.write_all(&std::process::id().to_ne_bytes()).unwrap();
            thread::yield_now();
        }
    });
    (task, heard)
}

fn assert_nobody_else_ran(mut heard: PipeReader) {
    let mut pids = Vec::new();
    heard.read_to_end(&mut pids).unwrap();
    assert_eq!(pids.len(), 400);
    assert!(pids.chunks(4).all(|pid| pid == std::process::id().to_ne_bytes()));
}

#[test]
fn a_child_that_returns_from_its_task_is_told_and_runs_no_other() {
    alone("a_child_that_returns_from_its_task_is_told_and_runs_no_other", || {
        kettle::run(|| {
            served(|| {
                let (others, heard) = tell_who_runs();
                let (said, says) = io::pipe().unwrap();
                let pid = thread::spawn(|| fork_to_go_on(says)).join().unwrap();
                assert_aborts(said, pid, MESSAGE);
                others.join().unwrap();
                assert_nobody_else_ran(heard);
            });
        });
    });
}

#[test]
fn a_child_that_returns_from_run_s_function_is_told_and_unwinds_nobody() {
    alone("a_child_that_returns_from_run_s_function_is_told_and_unwinds_nobody", || {
        struct Tells(PipeWriter);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.write_all(b"unwound").unwrap();
            }
        }
        let (mut unwound, tells) = io::pipe().unwrap();
        let (said, says) = io::pipe().unwrap();
        let pid = kettle::run(|| {
            thread::spawn(|| {
                let _tells = Tells(tells);
                thread::park();
            });
            thread::yield_now();
            fork_to_go_on(says)
        });
        assert_aborts(said, pid, MESSAGE);
        let mut text = String::new();
        unwound.read_to_string(&mut text).unwrap();
        assert_eq!(text, "unwound");
    });
}

#[test]
fn a_child_that_waits_for_its_parent_s_tasks_panics() {
    alone("a_child_that_waits_for_its_parent_s_tasks_panics", || {
        kettle::run(|| {
            served(|| {
                let message = |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<&str>().unwrap().to_string();
                let task = thread::spawn(thread::yield_now);
                let joins = fork(|| {
                    let panic = catch_unwind(AssertUnwindSafe(|| task.join())).unwrap_err();
                    assert!(message(panic).ends_with("in a forked process"));
                });
                assert_eq!(end_of(joins), End::Exit(0));
                let mut pid = 0;
                let scope = catch_unwind(AssertUnwindSafe(|| {
                    thread::scope(|s| {
                        s.spawn(thread::yield_now);
                        pid = fork_and_return();
                    });
                }));
                if pid == 0 {
                    let is_told = scope.is_err_and(|panic| message(panic).ends_with("in a forked process"));
                    // SAFETY: ends the child at once, without the parent's exit handlers.
                    unsafe { libc::_exit(i32::from(!is_told)) }
                }
                scope.unwrap();
                assert_eq!(end_of(pid), End::Exit(0));
            });
        });
    });
}

#[test]
fn a_loop_that_was_made_before_a_fork_runs_in_the_parent_only() {
    alone("a_loop_that_was_made_before_a_fork_runs_in_the_parent_only", || {
        let mut event_loop = kettle::EventLoop::new().unwrap();
        let (said, says) = io::pipe().unwrap();
        let pid = fork_to_go_on(says);
        if pid == 0 {
            event_loop.run(|| thread::sleep(Duration::MAX));
        }
        let message = "wait for events: use a driver in a forked process: it is the parent's, make one of your own after \
                       the fork\n";
        assert_aborts(said, pid, message);
        event_loop.run(|| served(|| {}));
    });
}

#[test]
fn a_child_of_a_thread_with_a_loop_is_unparked_as_a_thread() {
    alone("a_child_of_a_thread_with_a_loop_is_unparked_as_a_thread", || {
        thread::spawn(|| ()).join().unwrap();
        let token = thread::current();
        let pid = fork(|| {
            let me = thread::current();
            let other = std::thread::spawn(move || me.unpark());
            thread::park();
            other.join().unwrap();
            // What a handle from before has given is there as well.
            token.unpark();
            thread::park();
        });
        assert_eq!(end_of(pid), End::Exit(0));
    });
}
