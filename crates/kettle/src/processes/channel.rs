//! Owns channels between processes: messages of one type each way, over a pair of connected sockets.
//!
//! A message is its length in four bytes, and its bytes: a frame. Invariant: what lies in `incoming` between two waits
//! is frames, of which the last may have come in part, and in `outgoing` the one that may have gone in part; so a wait
//! that ends early loses nothing, breaks nothing, and leaves no more than that one behind.
#![forbid(unsafe_code)]

use super::descriptor::Descriptor;
use super::wire::Wire;
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;

/// How long a message may be, in bytes.
const MOST: usize = 16 << 20;

/// One end of a channel between two processes: messages of type `S` are sent by it, and those of type `R` received.
///
/// It may be shared by tasks and threads; each message goes to one of those who receive. Outside of tasks its calls
/// block the thread. Dropping it ends it: the other end receives what was sent, and then the end.
///
/// ```
/// use kettle::processes::Channel;
///
/// # fn main() -> std::io::Result<()> {
/// let (kitchen, parlour) = Channel::<String, u32>::pair()?;
/// kettle::run(|| -> std::io::Result<()> {
///     parlour.send(&2)?;
///     assert_eq!(kitchen.recv()?, Some(2));
///     kitchen.send(&"two cups".to_owned())?;
///     drop(kitchen);
///     assert_eq!(parlour.recv()?.as_deref(), Some("two cups"));
///     assert_eq!(parlour.recv()?, None);
///     Ok(())
/// })
/// # }
/// ```
pub struct Channel<S, R> {
    socket: Descriptor<UnixStream>,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Vec<u8>>,
    types: PhantomData<fn(S) -> R>,
}

/// A frame that is under way.
#[derive(Default)]
struct Outgoing {
    frame: Vec<u8>,
    /// How much of it has gone.
    sent: usize,
}

impl<S: Wire, R: Wire> Channel<S, R> {
    /// Two ends that are connected with each other.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn pair() -> io::Result<(Channel<S, R>, Channel<R, S>)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Channel::new(one)?, Channel::new(other)?))
    }

    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        Ok(Self {
            socket: Descriptor::new(socket)?,
            outgoing: Mutex::default(),
            incoming: Mutex::new(Vec::new()),
            types: PhantomData,
        })
    }

    /// Sends a message. A checkpoint, where there is no room for it: then it waits until the other end has received.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` if the other end has gone; `InvalidInput` for a message of more than 16 MiB, which is not sent.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). The message was not sent; unless a part of it had
    /// gone: then the rest goes before the next one.
    pub fn send(&self, message: &S) -> io::Result<()> {
        // By itself: the message's own code may panic in the middle.
        let mut frame = vec![0; 4];
        message.write(&mut frame);
        let len = frame.len() - 4;
        let header = u32::try_from(len).ok().filter(|_| len <= MOST);
        let Some(header) = header else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("send a message of {len} bytes, more than {MOST}"),
            ));
        };
        frame[..4].copy_from_slice(&header.to_le_bytes());
        let mut outgoing = lock(&self.outgoing);
        // What is left of an earlier one.
        self.flush(&mut outgoing)?;
        outgoing.frame = frame;
        self.flush(&mut outgoing)
    }

    /// Sends what is under way. Of that a failure leaves what has gone in part, unless nobody will ever receive it.
    fn flush(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        while outgoing.sent < outgoing.frame.len() {
            match self.socket.write(&outgoing.frame[outgoing.sent..]) {
                Ok(len) => outgoing.sent += len,
                Err(error) => {
                    if outgoing.sent == 0 || error.kind() == ErrorKind::BrokenPipe {
                        *outgoing = Outgoing::default();
                    }
                    return Err(error);
                }
            }
        }
        *outgoing = Outgoing::default();
        Ok(())
    }

    /// Waits for the next message; `None` when the other end has gone, and all that it has sent was received. A
    /// checkpoint, where it waits.
    ///
    /// # Errors
    ///
    /// `InvalidData` for what is no message of this type: the next ones can be received, unless even its length was
    /// none. `UnexpectedEof` if the other end has gone in the middle of one.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). No message is lost.
    pub fn recv(&self) -> io::Result<Option<R>> {
        let mut incoming = lock(&self.incoming);
        loop {
            if let Some(end) = frame(&incoming)? {
                let mut bytes = &incoming[4..end];
                let message = R::read(&mut bytes).filter(|_| bytes.is_empty());
                incoming.drain(..end);
                return match message {
                    Some(message) => Ok(Some(message)),
                    None => Err(io::Error::new(ErrorKind::InvalidData, "receive a message: it is none of this type")),
                };
            }
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk) {
                // A reset: the other end has gone without having received all that was sent to it.
                Ok(0) => return at_end(&incoming),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return at_end(&incoming),
                Ok(len) => incoming.extend_from_slice(&chunk[..len]),
                Err(error) => return Err(error),
            }
        }
    }
}

fn at_end<R>(incoming: &[u8]) -> io::Result<Option<R>> {
    if incoming.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Where the first frame ends, if it is there as a whole.
fn frame(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(header) = bytes.first_chunk() else { return Ok(None) };
    let len = u32::from_le_bytes(*header) as usize;
    if len > MOST {
        let text = format!("receive a message of {len} bytes, more than {MOST}: the other end speaks something else");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok(Some(len + 4).filter(|end| *end <= bytes.len()))
}

/// What a task has left that was unwound while it waited is as good as before.
fn lock<T>(half: &Mutex<T>) -> MutexGuard<'_, T> {
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S, R> AsFd for Channel<S, R> {
    /// The socket, which is in non-blocking mode. What is written to it, or read, is in the middle of others' messages.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S, R> fmt::Debug for Channel<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("socket", &*self.socket).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;
    use crate::{thread, timeout};
    use std::io::Write;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    type Ends = (UnixStream, Channel<(), String>);

    /// Bytes go in at one end, messages come out at the other.
    fn ends() -> Ends {
        let (one, other) = UnixStream::pair().unwrap();
        (one, Channel::new(other).unwrap())
    }

    fn bytes(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        text.to_owned().write(&mut bytes);
        [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
    }

    #[test]
    fn what_is_no_message_is_an_error_and_the_next_one_is_received() {
        let (mut raw, channel) = ends();
        raw.write_all(&[3, 0, 0, 0, 1, 2, 3]).unwrap();
        // A byte too many.
        let mut long = bytes("tea");
        long[0] += 1;
        long.push(0);
        raw.write_all(&long).unwrap();
        raw.write_all(&bytes("tea")).unwrap();
        for _ in 0..2 {
            assert_eq!(channel.recv().unwrap_err().kind(), ErrorKind::InvalidData);
        }
        assert_eq!(channel.recv().unwrap().as_deref(), Some("tea"));
    }

    #[test]
    fn a_length_that_is_none_is_an_error_each_time() {
        let (mut raw, channel) = ends();
        raw.write_all(&[0xff; 64]).unwrap();
        for _ in 0..2 {
            assert_eq!(channel.recv().unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn an_end_in_the_middle_is_an_error_and_one_between_messages_is_the_end() {
        let (mut raw, channel) = ends();
        raw.write_all(&bytes("tea")).unwrap();
        raw.write_all(&bytes("milk")[..5]).unwrap();
        drop(raw);
        assert_eq!(channel.recv().unwrap().as_deref(), Some("tea"));
        assert_eq!(channel.recv().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let (raw, channel) = ends();
        drop(raw);
        assert_eq!(channel.recv().unwrap(), None);
        assert_eq!(channel.send(&()).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_nobody_can_receive_any_more_is_not_kept() {
        let (one, other) = Channel::<Vec<u8>, ()>::pair().unwrap();
        drop(other);
        for _ in 0..2 {
            assert_eq!(one.send(&vec![7; 100]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
        assert_eq!(lock(&one.outgoing).frame.len(), 0);
    }

    #[test]
    fn a_message_that_panics_while_it_is_written_is_not_sent_and_the_next_one_is() {
        #[derive(PartialEq, Debug)]
        struct Brittle(u8);
        impl Wire for Brittle {
            fn write(&self, to: &mut Vec<u8>) {
                to.push(self.0);
                assert!(self.0 != 0, "it breaks");
            }
            fn read(from: &mut &[u8]) -> Option<Self> {
                u8::read(from).map(Self)
            }
        }
        let (one, other) = Channel::<Brittle, Brittle>::pair().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| one.send(&Brittle(0)))).is_err());
        one.send(&Brittle(7)).unwrap();
        assert_eq!(other.recv().unwrap(), Some(Brittle(7)));
    }

    #[test]
    fn a_message_that_is_too_long_is_not_sent_and_the_next_one_is() {
        let (one, other) = Channel::<Vec<u8>, ()>::pair().unwrap();
        assert_eq!(one.send(&vec![0; MOST]).unwrap_err().kind(), ErrorKind::InvalidInput);
        one.send(&vec![7]).unwrap();
        assert_eq!(other.recv().unwrap(), Some(vec![7]));
    }

    #[test]
    fn waits_that_end_early_lose_no_message_and_no_part_of_one() {
        crate::run(|| {
            let (one, other) = Channel::<Vec<u8>, ()>::pair().unwrap();
            // More than the system keeps: it has to wait in the middle.
            let long: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
            let sent = timeout(Duration::from_millis(1), || one.send(&long));
            assert!(!matches!(sent, Ok(Ok(()))));
            let received = thread::spawn(move || {
                // Ended in the middle of receiving, again and again.
                let mut received = Vec::new();
                while received.len() < 2 {
                    if let Ok(Ok(message)) = timeout(Duration::ZERO, || other.recv()) {
                        received.push(message.unwrap());
                    }
                    thread::yield_now();
                }
                received
            });
            one.send(&vec![7]).unwrap();
            assert!(received.join().unwrap() == [long, vec![7]]);
        });
    }

    #[test]
    fn messages_whose_sending_was_cancelled_do_not_pile_up() {
        crate::run(|| {
            let (one, other) = Channel::<(u32, Vec<u8>), ()>::pair().unwrap();
            let message = |number| (number, vec![7; 50_000]);
            // Nobody receives: there is room for some of them.
            let sent: Vec<_> = (0..100)
                .filter(|&number| matches!(timeout(Duration::ZERO, || one.send(&message(number))), Ok(Ok(()))))
                .collect();
            assert!(sent.len() < 90, "{}", sent.len());
            let received = thread::spawn(move || {
                std::iter::from_fn(|| other.recv().unwrap()).map(|(number, _)| number).collect::<Vec<_>>()
            });
            one.send(&message(100)).unwrap();
            drop(one);
            let mut received = received.join().unwrap();
            assert_eq!(received.pop(), Some(100));
            // Of the first one that was cancelled a part had gone, so the rest of it had to follow.
            assert!(
                received == sent || received[..sent.len()] == sent && received.len() == sent.len() + 1,
                "{received:?}"
            );
        });
    }

    #[test]
    fn outside_of_tasks_it_blocks_the_thread() {
        let (one, other) = Channel::<u32, u32>::pair().unwrap();
        let echo = std::thread::spawn(move || {
            while let Some(number) = other.recv().unwrap() {
                other.send(&(number + 1)).unwrap();
            }
        });
        for number in 0..100 {
            one.send(&number).unwrap();
            assert_eq!(one.recv().unwrap(), Some(number + 1));
        }
        drop(one);
        echo.join().unwrap();
    }
}
