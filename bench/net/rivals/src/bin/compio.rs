//! compio's server: io_uring on one thread, or one for each of several, with the ring's mode that is best here.

use compio::buf::{IntoInner, IoBuf};
use compio::driver::ProactorBuilder;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{RuntimeBuilder, spawn};
use net::plaintext::Conversation;
use net::serving::{BUFFER, Options, Service, listen, serve_apart};
use std::io;

fn main() -> io::Result<()> {
    let options = Options::of_command_line();
    match options.workers {
        0 => run(options.service, listen()?),
        count => serve_apart(count, |listener| run(options.service, listener)),
    }
}

fn run(service: Service, listener: std::net::TcpListener) -> io::Result<()> {
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(4096).coop_taskrun(true).taskrun_flag(true);
    RuntimeBuilder::new().with_proactor(proactor).build()?.block_on(serve(service, listener))
}

async fn serve(service: Service, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        match service {
            Service::Echo => spawn(echo(stream)).detach(),
            Service::Plaintext => spawn(answer(stream)).detach(),
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (n, bytes) = stream.read(buffer).await.into();
        let n = n?;
        if n == 0 {
            return Ok(());
        }
        let (result, bytes): (io::Result<()>, _) = stream.write_all(IoBuf::slice(bytes, ..n)).await.into();
        result?;
        buffer = bytes.into_inner();
        buffer.clear();
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut conversation = Conversation::default();
    loop {
        let (n, bytes): (io::Result<usize>, Vec<u8>) = stream.read(buffer).await.into();
        let n = n?;
        if n == 0 {
            return Ok(());
        }
        conversation.hear(&bytes[..n]).map_err(|_| io::ErrorKind::InvalidData)?;
        buffer = bytes;
        buffer.clear();
        let (result, output): (io::Result<()>, _) =
            stream.write_all(std::mem::take(&mut conversation.output)).await.into();
        result?;
        conversation.output = output;
        conversation.output.clear();
    }
}
