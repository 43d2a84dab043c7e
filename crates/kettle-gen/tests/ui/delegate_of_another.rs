//! E0308: a generator can't be taken in as another one.
use kettle_gen::{Error, Generator, SendError, State, Step, Taken, Yielder, generator};

struct Other;

impl Generator for Other {
    type Yield = u8;
    type Send = ();
    type Return = ();
    fn resume(&mut self) -> Result<Step<u8, ()>, Error> {
        Err(Error::finished())
    }
    fn send(&mut self, value: ()) -> Result<Step<u8, ()>, SendError<()>> {
        Err(SendError::new(Error::finished(), Some(value)))
    }
    fn throw(&mut self, error: Error) -> Result<Step<u8, ()>, Error> {
        Err(error)
    }
    fn close(&mut self) -> Result<Option<()>, Error> {
        Ok(None)
    }
    fn state(&self) -> State {
        State::Finished
    }
    fn into_delegate<'a>(self) -> Taken<'a, Self> {
        generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await).into_delegate()
    }
}

fn main() {}
