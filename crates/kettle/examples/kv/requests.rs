//! Owns what becomes of a command: those on keys are a shard's affair, those on the connection and the server are done
//! here.

use super::bytes::Bytes;
use super::command::{Command, integer};
use super::disk::{Disk, Saving};
use super::pubsub::Outbox;
use super::resp::{MOST_BULK, Output, Protocol, Words};
use super::session::Session;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// The version of Redis that clients are told, for what they expect of it.
const VERSION: &str = "7.0.0";

/// What a client may say that [may only listen](Session::may_only_listen).
const FOR_LISTENERS: [&[u8]; 4] = [b"SUBSCRIBE", b"UNSUBSCRIBE", b"PING", b"QUIT"];

impl Session {
    /// Does a command, or begins it. A checkpoint for some.
    pub(crate) fn execute(&mut self, words: Words<'_>) -> io::Result<()> {
        let Some(name) = words.get(0) else { return Ok(()) };
        if self.may_only_listen() && !FOR_LISTENERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            let name = name.escape_ascii();
            self.output.error(format_args!(
                "ERR Can't execute '{name}': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context"
            ));
            return Ok(());
        }
        match Command::find(name) {
            Some(command) => self.shard.call(command, words, &mut self.output, &mut self.batch),
            None => self.execute_own(name, words)?,
        }
        Ok(())
    }

    fn execute_own(&mut self, name: &[u8], words: Words<'_>) -> io::Result<()> {
        let upper = name.to_ascii_uppercase();
        match (&*upper, words.len() - 1) {
            (b"PING", 0 | 1) => self.ping(words.get(1)),
            (b"ECHO", 1) => self.output.bulk(&words[1]),
            (b"SELECT", 1) => match integer(&words[1]) {
                Ok(0) => self.output.simple("OK"),
                Ok(_) => self.output.error("ERR DB index is out of range"),
                Err(error) => self.output.error(error),
            },
            (b"QUIT", _) => {
                self.output.simple("OK");
                self.is_closing = true;
            }
            // A browser that was told to send something here: none of what it sends was meant so.
            (b"POST" | b"HOST:", _) => self.is_closing = true,
            (b"HELLO", _) => {
                // What was asked for before is answered in the form of before, also by others.
                self.flush()?;
                self.hello(words);
            }
            (b"CLIENT", 1..) => self.client(words),
            (b"COMMAND", _) => match words.get(1) {
                Some(what) if what.eq_ignore_ascii_case(b"COUNT") => self.output.integer(Command::count() as i64),
                // Clients ask for hints, and do without.
                _ => self.output.array(0),
            },
            (b"CONFIG", 1..) => self.config(words),
            (b"INFO", _) => self.info()?,
            (b"SAVE", 0) => self.save()?,
            (b"BGSAVE", 0 | 1) => self.save_in_background()?,
            (b"LASTSAVE", 0) => self.output.integer(self.shared.disk.last_save() as i64),
            (b"SUBSCRIBE", 1..) => self.subscribe(words)?,
            (b"UNSUBSCRIBE", _) => self.unsubscribe(words),
            (
                b"PING" | b"ECHO" | b"SELECT" | b"CLIENT" | b"CONFIG" | b"SAVE" | b"BGSAVE" | b"LASTSAVE"
                | b"SUBSCRIBE",
                _,
            ) => {
                let name = name.to_ascii_lowercase();
                let name = name.escape_ascii();
                self.output.error(format_args!("ERR wrong number of arguments for '{name}' command"));
            }
            _ => self.refuse_unknown(name, words),
        }
        Ok(())
    }

    /// With the beginning of what it says: it is for somebody to read.
    fn refuse_unknown(&mut self, name: &[u8], words: Words<'_>) {
        let begin = |word: &[u8], most| word[..word.len().min(most)].escape_ascii().to_string();
        let mut arguments = String::new();
        for word in words.iter().skip(1) {
            let Some(room @ 1..) = 128_usize.checked_sub(arguments.len()) else { break };
            arguments += &format!("'{}' ", begin(word, room));
        }
        let name = begin(name, 128);
        self.output.error(format_args!("ERR unknown command '{name}', with args beginning with: {arguments}"));
    }

    fn ping(&mut self, message: Option<&[u8]>) {
        if self.may_only_listen() {
            self.output.array(2);
            self.output.bulk(b"pong");
            self.output.bulk(message.unwrap_or_default());
        } else {
            match message {
                Some(message) => self.output.bulk(message),
                None => self.output.simple("PONG"),
            }
        }
    }

    fn hello(&mut self, words: Words<'_>) {
        let protocol = match words.get(1) {
            None => self.output.protocol,
            Some(b"2") => Protocol::Resp2,
            Some(b"3") => Protocol::Resp3,
            Some(other) if integer(other).is_ok() => {
                return self.output.error("NOPROTO unsupported protocol version");
            }
            Some(_) => return self.output.error("ERR Protocol version is not an integer or out of range"),
        };
        match (words.len(), words.get(2)) {
            (0..=2, _) => {}
            (4, Some(option)) if option.eq_ignore_ascii_case(b"SETNAME") => {
                if let Err(error) = self.set_name(&words[3]) {
                    return self.output.error(error);
                }
            }
            _ => {
                let option = words[2].escape_ascii();
                return self.output.error(format_args!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
        self.output.protocol = protocol;
        if let Some(outbox) = &self.outbox {
            outbox.set_protocol(protocol);
        }
        let out = &mut self.output;
        out.map(7);
        for (name, text) in [("server", "redis"), ("version", VERSION), ("mode", "standalone"), ("role", "master")] {
            out.bulk(name.as_bytes());
            out.bulk(text.as_bytes());
        }
        out.bulk(b"proto");
        out.integer(if protocol == Protocol::Resp2 { 2 } else { 3 });
        out.bulk(b"id");
        out.integer(self.id as i64);
        out.bulk(b"modules");
        out.array(0);
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), &'static str> {
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err("ERR Client names cannot contain spaces, newlines or special characters.");
        }
        self.name = name.to_vec();
        Ok(())
    }

    fn client(&mut self, words: Words<'_>) {
        match (&*words[1].to_ascii_uppercase(), words.len() - 2) {
            (b"SETNAME", 1) => match self.set_name(&words[2]) {
                Ok(()) => self.output.simple("OK"),
                Err(error) => self.output.error(error),
            },
            (b"GETNAME", 0) if self.name.is_empty() => self.output.null(),
            (b"GETNAME", 0) => self.output.bulk(&self.name),
            (b"ID", 0) => self.output.integer(self.id as i64),
            // What library it is nobody asks here.
            (b"SETINFO", 2) => self.output.simple("OK"),
            _ => self.refuse_subcommand("CLIENT", &words[1]),
        }
    }

    fn refuse_subcommand(&mut self, name: &str, subcommand: &[u8]) {
        let subcommand = subcommand.escape_ascii();
        self.output.error(format_args!("ERR unknown subcommand '{subcommand}'. Try {name} HELP."));
    }

    /// What is asked for and known. Benchmarks ask how much is saved of what they do.
    fn config(&mut self, words: Words<'_>) {
        if words.len() < 3 || !words[1].eq_ignore_ascii_case(b"GET") {
            return self.refuse_subcommand("CONFIG", &words[1]);
        }
        let most_bulk = MOST_BULK.to_string();
        let known = [("save", ""), ("appendonly", "no"), ("databases", "1"), ("proto-max-bulk-len", &most_bulk)];
        let is_asked = |name: &str| words.iter().skip(2).any(|asked| asked.eq_ignore_ascii_case(name.as_bytes()));
        let found: Vec<_> = known.into_iter().filter(|(name, _)| is_asked(name)).collect();
        self.output.map(found.len());
        for (name, value) in found {
            self.output.bulk(name.as_bytes());
            self.output.bulk(value.as_bytes());
        }
    }

    fn info(&mut self) -> io::Result<()> {
        self.flush()?;
        let keys = self.shard.count_keys(&mut self.batch)?;
        let (process, workers) = (std::process::id(), self.shard.count());
        let (clients, saved) = (self.shared.clients.load(Relaxed), self.shared.disk.last_save());
        let text = format!(
            "# Server\r\nredis_version:{VERSION}\r\nserver_name:kettle-kv\r\nprocess_id:{process}\r\nworkers:{workers}\r\n\r\n\
             # Clients\r\nconnected_clients:{clients}\r\n\r\n# Persistence\r\nrdb_last_save_time:{saved}\r\n\r\n\
             # Keyspace\r\ndb0:keys={keys}\r\n"
        );
        self.output.bulk(text.as_bytes());
        Ok(())
    }

    // --- saving ---

    fn save(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(saving) = self.begin_saving() else { return Ok(()) };
        let sections = self.shard.sections(&mut self.batch)?;
        // (The thread that writes is no task: the loop goes on.)
        match saving.write(sections).recv() {
            Ok(Ok(())) => self.output.simple("OK"),
            Ok(Err(error)) => self.output.error(format_args!("ERR save: {error}")),
            Err(_) => self.output.error("ERR save: the thread that writes has ended"),
        }
        Ok(())
    }

    /// Takes the turn, or says why there is none.
    fn begin_saving(&mut self) -> Option<Saving> {
        Disk::begin_saving(&self.shared.disk).map_err(|refused| self.output.error(refused)).ok()
    }

    fn save_in_background(&mut self) -> io::Result<()> {
        self.flush()?;
        let Some(saving) = self.begin_saving() else { return Ok(()) };
        let sections = self.shard.sections(&mut self.batch)?;
        // Nobody waits for it: what goes wrong is told on the server's side.
        drop(saving.write(sections));
        self.output.simple("Background saving started");
        Ok(())
    }

    // --- channels ---

    fn subscribe(&mut self, words: Words<'_>) -> io::Result<()> {
        // The answers up to here do not wait for others, so that the last one comes before the first message.
        self.flush()?;
        let protocol = self.output.protocol;
        let outbox = self.outbox.get_or_insert_with(|| Outbox::start(Rc::clone(&self.stream), protocol));
        outbox.write(|| {
            let mut data = self.shard.data.borrow_mut();
            for channel in words.iter().skip(1) {
                data.channels.subscribe(channel, self.id, outbox);
                self.channels.insert(channel.into());
                tell(&mut self.output, b"subscribe", Some(channel), self.channels.len());
            }
            std::mem::take(&mut self.output.bytes)
        })
    }

    fn unsubscribe(&mut self, words: Words<'_>) {
        let named: Vec<Bytes> = words.iter().skip(1).map(Bytes::from).collect();
        let all = if words.len() > 1 { named } else { self.channels.iter().cloned().collect() };
        for channel in &all {
            self.shard.data.borrow_mut().channels.unsubscribe(channel, self.id);
            self.channels.remove(channel);
            tell(&mut self.output, b"unsubscribe", Some(channel), self.channels.len());
        }
        if all.is_empty() {
            tell(&mut self.output, b"unsubscribe", None, 0);
        }
    }
}

/// Says what a client has subscribed to, or no more, and how many channels that makes.
fn tell(out: &mut Output, what: &[u8], channel: Option<&[u8]>, count: usize) {
    out.push(3);
    out.bulk(what);
    match channel {
        Some(channel) => out.bulk(channel),
        None => out.null(),
    }
    out.integer(count as i64);
}
