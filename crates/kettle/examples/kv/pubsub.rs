//! Owns who listens to what: the channels of one worker, and what is queued for those who listen.
//!
//! Who publishes puts the message into the queue of each subscriber and goes on; a task for each subscriber writes it.
//! So nobody waits for somebody else's connection. One who does not read is shut out.

use super::bytes::Bytes;
use super::resp::{Output, Protocol};
use kettle::net::{Shutdown, TcpStream};
use kettle::sync::{Mutex, PoisonError};
use kettle::thread::{self, Thread};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::rc::Rc;

/// How many bytes may wait for a subscriber.
pub(crate) const MOST_QUEUED: usize = 8 * 1024 * 1024;

/// The subscribers of each channel, by the numbers of their connections.
#[derive(Default)]
pub(crate) struct Channels {
    subscribers: HashMap<Bytes, BTreeMap<u64, Rc<Outbox>>>,
}

impl Channels {
    pub(crate) fn subscribe(&mut self, channel: &[u8], id: u64, outbox: &Rc<Outbox>) {
        self.subscribers.entry(channel.into()).or_default().insert(id, Rc::clone(outbox));
    }

    pub(crate) fn unsubscribe(&mut self, channel: &[u8], id: u64) {
        if let Some(subscribers) = self.subscribers.get_mut(channel) {
            subscribers.remove(&id);
            if subscribers.is_empty() {
                self.subscribers.remove(channel);
            }
        }
    }

    /// Queues a message for all who listen, and gives how many these are. No checkpoint.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let Some(subscribers) = self.subscribers.get(channel) else { return 0 };
        for outbox in subscribers.values() {
            outbox.queue(|out| {
                out.push(3);
                [b"message", channel, message].iter().for_each(|part| out.bulk(part));
            });
        }
        subscribers.len()
    }
}

/// What is to be written to a connection by a task of its own, besides the answers.
pub(crate) struct Outbox {
    stream: Rc<TcpStream>,
    /// Who has it writes. Two tasks do, and each may have to wait in the middle.
    turn: Mutex<()>,
    queue: RefCell<Output>,
    /// Nothing more will be queued.
    is_closed: Cell<bool>,
    /// The task that writes; parked while the queue is empty.
    writer: RefCell<Option<Thread>>,
}

impl Outbox {
    /// Starts the task that writes.
    pub(crate) fn start(stream: Rc<TcpStream>, protocol: Protocol) -> Rc<Self> {
        let queue = RefCell::new(Output { bytes: Vec::new(), protocol });
        let (turn, is_closed, writer) = Default::default();
        let outbox = Rc::new(Self { stream, turn, queue, is_closed, writer });
        thread::spawn({
            let outbox = Rc::clone(&outbox);
            move || outbox.write_queued()
        });
        outbox
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.queue.borrow_mut().protocol = protocol;
    }

    /// Writes what is queued and then the answers that this gives, and meanwhile nothing else: so no message comes
    /// after the answer that there will be no more of them. A checkpoint.
    pub(crate) fn write(&self, answers: impl FnOnce() -> Vec<u8>) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = std::mem::take(&mut self.queue.borrow_mut().bytes);
        bytes.append(&mut answers());
        // Nothing is borrowed any longer when this waits.
        (&*self.stream).write_all(&bytes)
    }

    /// Has something written, or shuts the client out if too much waits for it. No checkpoint.
    fn queue(&self, write: impl FnOnce(&mut Output)) {
        if self.is_closed.get() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        write(&mut queue);
        if queue.bytes.len() > MOST_QUEUED {
            queue.bytes = Vec::new();
            drop(queue);
            // Both of its tasks wait for the connection, and hear of it by this. What can't be shut down is closed
            // already.
            _ = self.stream.shutdown(Shutdown::Both);
            self.close();
        } else {
            drop(queue);
            self.wake();
        }
    }

    /// Lets the writer end, when it has written what is queued.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(writer) = &*self.writer.borrow() {
            writer.unpark();
        }
    }

    fn write_queued(&self) {
        *self.writer.borrow_mut() = Some(thread::current());
        loop {
            let is_empty = self.queue.borrow().bytes.is_empty();
            if !is_empty {
                if self.write(Vec::new).is_err() {
                    break;
                }
            } else if self.is_closed.get() {
                break;
            } else {
                thread::park();
            }
        }
        self.is_closed.set(true);
        // The reader may wait for a client that has gone. What can't be shut down is closed already.
        _ = self.stream.shutdown(Shutdown::Both);
    }
}
