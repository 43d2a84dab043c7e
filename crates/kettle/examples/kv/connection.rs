//! Owns the conversation with one client: reads commands, as many as have come, and writes their answers at once.

use super::input::Input;
use super::resp::Parser;
use super::session::{MOST_OUTPUT, Session, Shared};
use super::shard::Shard;
use kettle::net::TcpStream;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

/// How many answers of other shards are collected before they are waited for.
const MOST_NOTES: usize = 512;

/// Answers a client's commands as long as they come.
pub(crate) fn converse(stream: TcpStream, shard: Rc<Shard>, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::new(stream, shard, shared);
    let mut parser = Parser::default();
    let mut input = Input::default();
    while !session.is_closing {
        if (&*session.stream).read(input.room()).map(|len| input.add(len))? == 0 {
            return Ok(());
        }
        session.shard.tick();
        while !session.is_closing {
            match parser.parse(input.bytes()) {
                Ok(Some(len)) => {
                    session.execute(parser.words(input.bytes()))?;
                    input.remove(len);
                }
                Ok(None) => break,
                Err(malformed) => {
                    session.output.error(format_args!("ERR {malformed}"));
                    session.is_closing = true;
                }
            }
            if session.output.bytes.len() >= MOST_OUTPUT || session.batch.len() >= MOST_NOTES {
                session.flush()?;
            }
        }
        session.flush()?;
    }
    session.linger()
}
