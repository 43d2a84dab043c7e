//! Owns what a connection has: who the client is, what is asked of shards for it, and how its answers are written.

use super::bytes::Bytes;
use super::disk::Disk;
use super::parcel::Batch;
use super::pubsub::Outbox;
use super::resp::{Output, Protocol};
use super::shard::Shard;
use kettle::net::{Shutdown, TcpStream};
use kettle::time::{Duration, Instant};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How many bytes of answers are collected before they are written.
pub(crate) const MOST_OUTPUT: usize = 64 * 1024;

/// What all workers' connections share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<Disk>,
    /// How many there are.
    pub(crate) clients: AtomicUsize,
    last_id: AtomicU64,
}

impl Shared {
    pub(crate) fn new(disk: Disk) -> Self {
        Self { disk: Arc::new(disk), clients: AtomicUsize::new(0), last_id: AtomicU64::new(0) }
    }
}

/// What a connection has.
pub(crate) struct Session {
    pub(crate) shard: Rc<Shard>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: u64,
    pub(crate) stream: Rc<TcpStream>,
    pub(crate) name: Vec<u8>,
    pub(crate) output: Output,
    pub(crate) batch: Batch,
    pub(crate) channels: BTreeSet<Bytes>,
    /// What writes if this client has ever subscribed.
    pub(crate) outbox: Option<Rc<Outbox>>,
    pub(crate) is_closing: bool,
}

impl Session {
    pub(crate) fn new(stream: TcpStream, shard: Rc<Shard>, shared: Arc<Shared>) -> Self {
        shared.clients.fetch_add(1, Relaxed);
        let id = 1 + shared.last_id.fetch_add(1, Relaxed);
        let batch = Batch::new(shard.count());
        let (name, output, channels) = Default::default();
        let stream = Rc::new(stream);
        Self { shard, shared, id, stream, name, output, batch, channels, outbox: None, is_closing: false }
    }

    /// Whether a client that has subscribed could not tell an answer from a message.
    pub(crate) fn may_only_listen(&self) -> bool {
        !self.channels.is_empty() && self.output.protocol == Protocol::Resp2
    }

    /// Writes the answers, also those that others still have to give. A checkpoint.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.shard.fill(&mut self.output, &mut self.batch)? {
            self.write()?;
        }
        self.write()
    }

    /// Writes the answers that are there. A checkpoint.
    fn write(&mut self) -> io::Result<()> {
        if self.output.bytes.is_empty() {
            return Ok(());
        }
        match &self.outbox {
            None => (&*self.stream).write_all(&self.output.bytes)?,
            Some(outbox) => outbox.write(|| std::mem::take(&mut self.output.bytes))?,
        }
        if self.output.bytes.capacity() > 2 * MOST_OUTPUT {
            self.output.bytes = Vec::new();
        }
        self.output.bytes.clear();
        Ok(())
    }

    /// Closes a connection whose client may be sending still: if something is left unread, closing would reset it, and
    /// the client might not see the answer.
    pub(crate) fn linger(&self) -> io::Result<()> {
        match &self.outbox {
            // It shuts the connection down when it has written all.
            Some(outbox) => outbox.close(),
            None => self.stream.shutdown(Shutdown::Write)?,
        }
        let end = Instant::now() + Duration::from_secs(1);
        self.stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        while Instant::now() < end && (&*self.stream).read(&mut [0; 1024])? > 0 {}
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.clients.fetch_sub(1, Relaxed);
        let mut data = self.shard.data.borrow_mut();
        self.channels.iter().for_each(|channel| data.channels.unsubscribe(channel, self.id));
        if let Some(outbox) = &self.outbox {
            outbox.close();
        }
    }
}
