//! smol's server: an executor on one thread.

use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen};
use smol::LocalExecutor;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use std::io;

fn main() -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(serve(&executor)))
}

async fn serve(executor: &LocalExecutor<'_>) -> io::Result<()> {
    let service = Options::of_command_line().service;
    let listener = TcpListener::try_from(listen()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => executor.spawn(echo(stream)).detach(),
            Service::Plaintext => executor.spawn(answer(stream)).detach(),
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
