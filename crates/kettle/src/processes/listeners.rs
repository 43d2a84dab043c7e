//! Owns where is listened: bound here, or passed by a process manager.
#![forbid(unsafe_code)]

use super::error::Error;
use crate::net;
use std::io::{self, ErrorKind};
use std::net::TcpListener;

/// Where is to be listened.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: Option<String>,
    pub(super) addr: String,
}

/// A listener for each place. If the process manager has passed any, they are all taken from those: one with a name by
/// its name, the others in their order.
pub(super) fn listen(places: &[Place], mut passed: Vec<(String, TcpListener)>) -> Result<Vec<TcpListener>, Error> {
    if passed.is_empty() {
        let bind = |place: &Place| net::TcpListener::bind(&*place.addr).map(TcpListener::from);
        return places
            .iter()
            .map(|place| bind(place).map_err(Error::system(format!("listen on {}", place.addr))))
            .collect();
    }
    let count = passed.len();
    let mut listeners: Vec<Option<TcpListener>> = Vec::new();
    for place in places {
        let named = |name: &String| passed.iter().position(|(other, _)| other == name);
        listeners.push(place.name.as_ref().and_then(named).map(|found| passed.remove(found).1));
    }
    let mut rest = passed.into_iter().map(|(_, listener)| listener);
    for (place, listener) in places.iter().zip(&mut listeners) {
        if listener.is_none() {
            *listener = match &place.name {
                Some(name) => return Err(missing(format!("take the listener {name:?}"), count)),
                None => rest.next(),
            };
        }
    }
    let listeners: Vec<_> = listeners.into_iter().flatten().collect();
    if listeners.len() != count || places.len() != count {
        return Err(missing(format!("take {} listeners", places.len()), count));
    }
    Ok(listeners)
}

fn missing(what: String, count: usize) -> Error {
    let text = format!("the process manager has passed {count} (LISTEN_FDS), and not those");
    Error::system(what)(io::Error::new(ErrorKind::NotFound, text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;

    fn place(name: Option<&str>) -> Place {
        Place { name: name.map(str::to_owned), addr: "127.0.0.1:0".to_owned() }
    }

    fn passed(names: &[&str]) -> Vec<(String, TcpListener)> {
        names.iter().map(|name| ((*name).to_owned(), TcpListener::bind("127.0.0.1:0").unwrap())).collect()
    }

    fn ports(listeners: &[TcpListener]) -> Vec<u16> {
        listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
    }

    #[test]
    fn listeners_are_taken_by_name_and_the_others_in_order() {
        let all = passed(&["kettle.socket", "admin", "kettle.socket"]);
        let order: Vec<_> = all.iter().map(|(_, listener)| listener.local_addr().unwrap().port()).collect();
        let taken = listen(&[place(None), place(None), place(Some("admin"))], all).unwrap();
        assert_eq!(ports(&taken), [order[0], order[2], order[1]]);
    }

    #[test]
    fn what_was_passed_and_what_is_asked_for_must_agree() {
        for (places, names) in [
            (&[place(None)][..], &["a", "b"][..]),
            (&[place(None), place(None)], &["a"]),
            (&[place(Some("b"))], &["a"]),
            (&[], &["a"]),
        ] {
            let error = listen(places, passed(names)).unwrap_err().to_string();
            assert!(error.starts_with("take ") && error.contains("LISTEN_FDS"), "{error}");
        }
    }

    #[test]
    fn a_place_that_can_t_be_had_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap().to_string();
        let error = listen(&[Place { name: None, addr: addr.clone() }], Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("listen on {addr}: ")), "{error}");
    }
}
