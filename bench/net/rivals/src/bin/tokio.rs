//! tokio's server: one thread, tasks that stay on it.

use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

fn main() -> io::Result<()> {
    Builder::new_current_thread().enable_io().build()?.block_on(LocalSet::new().run_until(serve()))
}

async fn serve() -> io::Result<()> {
    let service = Options::of_command_line().service;
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => drop(spawn_local(echo(stream))),
            Service::Plaintext => drop(spawn_local(answer(stream))),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    let mut conversation = Conversation::default();
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => conversation.hear(&buffer[..n]).map_err(|_| io::ErrorKind::InvalidData)?,
        }
        stream.write_all(&conversation.output).await?;
        conversation.output.clear();
    }
}
