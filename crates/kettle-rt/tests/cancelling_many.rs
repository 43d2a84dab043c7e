//! A hundred thousand tasks that wait, for sockets, for times and for each other, are cancelled: all of them end, and nothing
//! of them is left.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::driver::Op;
use kettle_rt::{EventLoop, GroupError, Outcome, operate, park, sleep, task_group, yield_now};
use std::cell::Cell;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

/// How many; with assertions or a sanitizer it takes too long.
const TASKS: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// Several tasks read from each.
const SOCKETS: usize = TASKS / 100;

struct Count<'a>(&'a Cell<usize>);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn read(socket: &UnixStream) -> Outcome {
    let mut buf = [0; 64];
    let op = Op::Recv { fd: socket.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: 0 };
    // SAFETY: the buffer is this frame's.
    unsafe { operate(op, None) }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_hundred_thousand_tasks_are_cancelled_wherever_they_wait() {
    let before = descriptors();
    let mut event_loop = EventLoop::new().unwrap();
    let during = descriptors();
    let (dropped, told) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    event_loop.run(|| {
        let sockets: Vec<_> = (0..SOCKETS).map(|_| UnixStream::pair().unwrap()).collect();
        let failed: Result<(), GroupError<&str>> = task_group(|group| {
            for n in 0..TASKS {
                let (dropped, told, socket) = (&*dropped, &*told, &sockets[n % SOCKETS].0);
                group.spawn(move || {
                    let _count = Count(dropped);
                    match n % 3 {
                        0 => {
                            assert_eq!(read(socket), Outcome::Cancelled);
                            told.set(told.get() + 1);
                            return Err("cancelled");
                        }
                        1 => sleep(Duration::from_secs(3600)),
                        _ => park(),
                    }
                    Ok(())
                });
            }
            // All have begun, and those that read are known to the kernel.
            yield_now();
            yield_now();
            Err("spilled")
        });
        assert_eq!(failed.unwrap_err().into_iter().collect::<Vec<_>>(), ["spilled"]);
        assert_eq!(descriptors(), during + 2 * SOCKETS);
        // A socket that was waited for is as it was.
        use std::io::{Read, Write};
        (&sockets[0].1).write_all(b"tea").unwrap();
        let mut heard = [0; 3];
        (&sockets[0].0).read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"tea");
    });
    assert_eq!((dropped.get(), told.get()), (TASKS, TASKS.div_ceil(3)));
    drop(event_loop);
    assert_eq!(descriptors(), before);
}
