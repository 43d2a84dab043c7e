//! Owns the supervisor: an event loop whose tasks listen to signals, processes and pipes, and one that does what the
//! crew decides.
//!
//! Invariant: when [`supervise`] returns, each process that it has started has ended and was waited for.
#![forbid(unsafe_code)]

use super::attendant::{Attendant, Event, Shared};
use super::channel::Channel;
use super::crew::{Action, Crew, Failure, Id, Rules, Version};
use super::descriptor::{Descriptor, readable};
use super::error::Error;
use super::executable::{Executable, Newborn, Output, path};
use super::output::{Out, outs};
use super::signals::Signals;
use super::status_socket::StatusSocket;
use super::wire::Wire;
use super::worker::{LEAVING, READY};
use crate::sync::mpsc;
use crate::thread::{self, Scope};
use kettle_rt::{Instant, cancel_scope, now, timeout};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Stderr, Stdout};
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{self, Child, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

/// How long the end of a process is held back for its last lines; and the end of the supervisor for whoever talks of it
/// still.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How many lines wait to be read, at most. What comes then is left out.
const MOST_WAITING: usize = 1000;

/// How many lines may wait when another one is the status, which can be asked for again.
const MOST_BEFORE_STATUS: usize = 10;

/// A function that talks with a worker.
pub(super) type Attend<'env, Up, Down> = Box<dyn Fn(&Attendant<'_, Up, Down>) -> io::Result<()> + 'env>;

/// What a supervisor works with.
pub(super) struct Supervision<'env, Up, Down> {
    pub(super) rules: Rules,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) output: Output,
    pub(super) status_socket: Option<StatusSocket>,
    pub(super) attend: Option<Attend<'env, Up, Down>>,
    pub(super) signals: Signals,
}

/// Runs workers until they are to end. A task of an event loop.
pub(super) fn supervise<Up: Wire, Down: Wire>(supervision: Supervision<'_, Up, Down>) -> Result<(), Error> {
    let current = Executable::current().map_err(Error::system("find the executable of this process"))?;
    let path = path().map_err(Error::system("find the executable of this process"))?;
    let (events, happened) = mpsc::channel();
    let (log, logged) = mpsc::channel();
    let (stdout, stderr) = outs();
    let shared = Shared { crew: RefCell::new(Crew::new(supervision.rules.clone())), events };
    let supervisor = Supervisor {
        supervision: &supervision,
        shared: &shared,
        log,
        waiting: Cell::new(0),
        left_out: Cell::new(0),
        stdout,
        stderr,
        executables: RefCell::new((current, None)),
        path,
        processes: RefCell::default(),
    };
    let mut end = Ok(());
    let all_ended = cancel_scope(|all| {
        thread::scope(|scope| {
            let Signals { terminate, interrupt, hang_up, report, .. } = &supervision.signals;
            scope.spawn(|| supervisor.write_log(&logged));
            scope.spawn(|| supervisor.hear(terminate, || Event::Stop));
            scope.spawn(|| supervisor.hear(interrupt, || Event::Stop));
            scope.spawn(|| supervisor.hear(hang_up, || Event::Reload));
            scope.spawn(|| supervisor.hear(report, || Event::Report));
            if let Some(socket) = &supervision.status_socket {
                scope.spawn(|| socket.serve(&shared));
            }
            end = supervisor.run(&happened);
            // What is said last is heard, unless nobody listens.
            let (ended, written) = mpsc::channel();
            _ = supervisor.log.send(Entry::End(ended));
            _ = written.recv_timeout(LAST_WORDS);
            all.cancel();
        });
    });
    // That they are cancelled at the end is how they end.
    _ = all_ended;
    end.map_err(Error::from)
}

/// What is said.
enum Entry {
    Line(String),
    /// Nothing more, and who wants to know when all of it has been written.
    End(mpsc::Sender<()>),
}

struct Supervisor<'a, 'env, Up, Down> {
    supervision: &'a Supervision<'env, Up, Down>,
    shared: &'a Shared,
    log: mpsc::Sender<Entry>,
    /// How many lines have not been written.
    waiting: Cell<usize>,
    /// How many lines there was no room for, since that was said last.
    left_out: Cell<usize>,
    stdout: Out<Stdout>,
    stderr: Out<Stderr>,
    /// The current one, and the next one during a reload.
    executables: RefCell<(Executable, Option<Executable>)>,
    /// Where the next one is found.
    path: PathBuf,
    processes: RefCell<BTreeMap<Id, Rc<Process>>>,
}

/// How a process is reached.
struct Process {
    pid: u32,
    /// Names it also when its pid is another's.
    pidfd: Descriptor<OwnedFd>,
    control: Descriptor<UnixStream>,
}

impl<Up: Wire, Down: Wire> Supervisor<'_, '_, Up, Down> {
    /// Does what the crew decides, until it is over. A checkpoint.
    fn run(&self, happened: &mpsc::Receiver<Event>) -> Result<(), Failure> {
        let mut end = Ok(());
        let result = cancel_scope(|late| {
            thread::scope(|scope| {
                end = loop {
                    self.act(scope);
                    if let Some(end) = self.shared.crew.borrow().end() {
                        break end;
                    }
                    self.take_in(self.next(happened));
                };
                // The processes have gone; who talks with them hears that.
                late.set_deadline(Instant::now().checked_add(LAST_WORDS));
            });
        });
        if result.is_err() {
            self.say(format!(
                "{LAST_WORDS:?} after the workers, who attends to them had not finished, or what they have started held \
                 their output"
            ));
        }
        end
    }

    /// Waits for what happens, or for a time to come.
    fn next(&self, happened: &mpsc::Receiver<Event>) -> Option<Event> {
        let deadline = self.shared.crew.borrow().deadline();
        match deadline {
            Some(deadline) => happened.recv_timeout(deadline.saturating_duration_since(now())).ok(),
            None => happened.recv().ok(),
        }
    }

    fn take_in(&self, event: Option<Event>) {
        let mut crew = self.shared.crew.borrow_mut();
        match event {
            Some(Event::Ready(id)) => crew.ready(id, now()),
            Some(Event::Leaving(id)) => crew.leaving(id, now()),
            Some(Event::Exited(id, status)) => {
                self.processes.borrow_mut().remove(&id);
                // It has gone; how, somebody else was told, who had no business with it.
                crew.exited(id, status.unwrap_or_default(), now());
            }
            Some(Event::Stop) => crew.stop(now()),
            Some(Event::Reload) => crew.reload(),
            Some(Event::Report) => {
                let status = crew.status(now());
                self.say_if_fewer_wait(MOST_BEFORE_STATUS, status.to_string());
            }
            None => {}
        }
        crew.tick(now());
    }

    fn act<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        loop {
            // Not in the head of the loop: it would be borrowed while it is told what has come of it.
            let action = self.shared.crew.borrow_mut().next_action();
            match action {
                None => return,
                Some(Action::FindNext) => match Executable::at(&self.path) {
                    Ok(next) => self.executables.borrow_mut().1 = Some(next),
                    Err(error) => {
                        let why = format!("{}: {error}", self.path.display());
                        self.shared.crew.borrow_mut().give_up(&why, now());
                    }
                },
                Some(Action::Start(index, version)) => self.start(scope, index, version),
                Some(Action::Drain(id)) => self.with(id, |process| {
                    // The worker reads the end. One that has gone needs no asking.
                    _ = process.control.shutdown(Shutdown::Write);
                }),
                Some(Action::Kill(id)) => self.with(id, |process| {
                    _ = pidfd_send_signal(&*process.pidfd, Signal::KILL);
                }),
                Some(Action::Adopt) => {
                    let mut executables = self.executables.borrow_mut();
                    if let Some(next) = executables.1.take() {
                        executables.0 = next;
                    }
                }
                Some(Action::Say(text)) => self.say(text),
            }
        }
    }

    fn with(&self, id: Id, f: impl FnOnce(&Process)) {
        if let Some(process) = self.processes.borrow().get(&id) {
            f(process);
        }
    }

    fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, index: usize, version: Version) {
        let started = self.newborn(index, version);
        let mut crew = self.shared.crew.borrow_mut();
        match started {
            Ok((process, child, channel)) => {
                let process = Rc::new(process);
                let id = crew.started(index, version, process.pid, now());
                self.processes.borrow_mut().insert(id, Rc::clone(&process));
                scope.spawn(move || self.attend(id, index, &process, child, channel));
            }
            Err(error) => {
                crew.not_started(index, version, &error, now());
                self.say(format!("start worker {index}: {error}"));
            }
        }
    }

    fn newborn(&self, index: usize, version: Version) -> io::Result<(Process, Child, UnixStream)> {
        let executables = self.executables.borrow();
        let executable = match (version, &*executables) {
            (Version::Next, (_, Some(next))) => next,
            (_, (current, _)) => current,
        };
        let Supervision { listeners, output, .. } = self.supervision;
        let Newborn { mut child, control, channel } = executable.start(index, listeners, *output)?;
        let pid = child.id();
        let reach = || -> io::Result<Process> {
            let pidfd = Descriptor::new(pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?)?;
            Ok(Process { pid, pidfd, control: Descriptor::new(control)? })
        };
        match reach() {
            Ok(process) => Ok((process, child, channel)),
            Err(error) => {
                // Nobody could tell when it ends.
                _ = child.kill();
                _ = child.wait();
                Err(error)
            }
        }
    }

    /// Looks after one process until it has ended, and all that it has said was heard. A task.
    fn attend(&self, id: Id, index: usize, process: &Process, mut child: Child, channel: UnixStream) {
        let pid = process.pid;
        let prefix = format!("[worker {index} pid {pid}] ");
        thread::scope(|scope| {
            let stdout = child.stdout.take().map(|pipe| pipe_of(pipe.into()));
            let stderr = child.stderr.take().map(|pipe| pipe_of(pipe.into()));
            let prefix = &*prefix;
            let relays = [
                stdout.map(|pipe| scope.spawn(move || self.stdout.relay(&pipe?, prefix))),
                stderr.map(|pipe| scope.spawn(move || self.stderr.relay(&pipe?, prefix))),
            ];
            let control = scope.spawn(move || self.read_control(id, process));
            // Where nobody attends, the channel ends here.
            let talk = self.supervision.attend.as_ref().map(move |attend| {
                scope.spawn(move || {
                    let talked = Channel::new(channel)
                        .and_then(|channel| attend(&Attendant { index, pid, channel, shared: self.shared }));
                    if let Err(error) = talked {
                        self.say(format!("attend to worker {index} pid {pid}: {error}"));
                    }
                })
            });
            let status = wait_for(process.pidfd.as_fd(), &mut child);
            // What it has said last comes before its end: that it was asked to, and its lines, unless nobody takes them
            // off us.
            let heard = || {
                _ = control.join();
                relays.into_iter().flatten().for_each(|relay| _ = relay.join());
            };
            _ = timeout(LAST_WORDS, heard);
            self.shared.tell(Event::Exited(id, status));
            if talk.is_some_and(|talk| talk.join().is_err()) {
                self.say(format!("attend to worker {index} pid {pid}: it panicked"));
            }
        });
    }

    /// Hears what a worker says of itself.
    fn read_control(&self, id: Id, process: &Process) {
        let mut word = [0];
        while let Ok(1) = process.control.read(&mut word) {
            match word[0] {
                READY => self.shared.tell(Event::Ready(id)),
                LEAVING => self.shared.tell(Event::Leaving(id)),
                _ => {}
            }
        }
    }

    /// Passes a signal on, each time that it comes. A task.
    fn hear(&self, signal: &Descriptor<UnixStream>, event: impl Fn() -> Event) {
        // What is written into it is never an end.
        while let Ok(1) = signal.read(&mut [0]) {
            self.shared.tell(event());
        }
    }

    /// Says something, to whoever reads the standard error.
    fn say(&self, text: String) {
        self.say_if_fewer_wait(MOST_WAITING, text);
    }

    fn say_if_fewer_wait(&self, most: usize, text: String) {
        if self.waiting.get() < most {
            self.waiting.update(|waiting| waiting + 1);
            _ = self.log.send(Entry::Line(text));
        } else {
            self.left_out.update(|lines| lines + 1);
        }
    }

    /// A task: a reader that is slow keeps nobody from looking after workers.
    fn write_log(&self, logged: &mpsc::Receiver<Entry>) {
        let prefix = format!("[supervisor pid {}] ", process::id());
        for entry in logged {
            match entry {
                Entry::Line(text) => self.stderr.say(&prefix, &text),
                Entry::End(written) => return drop(written),
            }
            self.waiting.update(|waiting| waiting - 1);
            if self.waiting.get() == 0 && self.left_out.get() > 0 {
                let lines = self.left_out.take();
                self.stderr.say(&prefix, &format!("{lines} lines were left out: nobody has read those before them"));
            }
        }
    }
}

fn pipe_of(pipe: OwnedFd) -> io::Result<Descriptor<File>> {
    Descriptor::new(pipe.into())
}

/// Waits until a child has ended. A checkpoint.
fn wait_for(pidfd: BorrowedFd<'_>, child: &mut Child) -> io::Result<ExitStatus> {
    while child.try_wait()?.is_none() {
        readable(pidfd)?;
    }
    child.wait()
}
