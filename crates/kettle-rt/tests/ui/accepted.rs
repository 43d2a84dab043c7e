//! accepted: what the others do wrong, done right.
use kettle_rt::workers::{self, workers};
use kettle_rt::{EventLoop, callback, scope, spawn, task_group};
use std::rc::Rc;

fn main() {
    std::thread::spawn(|| {
        EventLoop::new().unwrap().run(|| {
            let text = Rc::new(String::from("shared"));
            let mut n = 0;
            let len = scope(|s| {
                s.spawn(|| n += 1);
                s.spawn(|| text.len()).join().unwrap()
            });
            let mut kept = None;
            let grouped = task_group(|group| {
                kept = Some(group.spawn(|| Ok(1)));
                let _ = group.spawner().spawn(|| Ok(println!("owns")));
                let text = group.spawn(|| Ok::<_, String>(&text));
                Ok(text.join().unwrap().len())
            });
            assert_eq!(grouped.unwrap(), len);
            assert_eq!(kept.unwrap().join(), Ok(1));
            let text = Rc::clone(&text);
            assert_eq!(spawn(move || text.len()).join().unwrap() + n, len + 1);
            let text = String::from("whistle");
            assert_eq!(callback(|done| done.call(text.as_str())), Ok("whistle"));
            assert_eq!(callback(|done| spawn(move || done.call(Rc::new(1)))), Ok(Rc::new(1)));
            assert_eq!(callback(|done| std::thread::spawn(move || done.call(1))), Ok(1));
            let cups = vec![1, 2, 3];
            assert_eq!(spawn(|| 0).on_done(move |n| cups[n.unwrap()]).join().unwrap(), 1);
        });
    });
    let text = &String::from("whistle");
    let lengths = workers(2).run(|worker| {
        let owned = Rc::new(1);
        let there = worker.clone();
        let borrows = worker.spawn_anywhere(move || there.spawn_on(0, || text.len()).join().unwrap());
        let owns = workers::current().map(|worker| worker.spawn_anywhere(|| String::from("owns")));
        std::thread::scope(|threads| threads.spawn(move || drop(owns)).join().unwrap());
        borrows.join().unwrap() + *owned
    });
    assert_eq!(lengths.unwrap(), [8, 8]);
}
