//! Every place where a template may stand, as the tables of keys have them, and the room that puts values there.

use mini_dag::dag::keys::{CONFIG_KEYS, DAG_KEYS, Key, Shape};

/// An object that several keys share, such as `http`, is here once, by the key that it is found under first.
const COVERED: [(&str, &str); 16] = [
    ("env", "values"),
    ("cwd", "values"),
    ("on_success.bash", "values: none may stand there"),
    ("on_success.argv", "hooks"),
    ("http.url", "run, hooks"),
    ("http.headers", "run, hooks"),
    ("http.body", "run, hooks"),
    ("http.json", "run, hooks"),
    ("http.save_to", "run, hooks"),
    ("tasks.bash", "values: none may stand there"),
    ("tasks.argv", "run"),
    ("tasks.args", "run, values"),
    ("trigger.params", "triggers"),
    ("tasks.env", "run"),
    ("tasks.cwd", "run"),
    ("defaults", "values: as the keys of a DAG"),
];

type Walked = Vec<(String, &'static [Key])>;

fn walk(name: &str, keys: &'static [Key], walked: &mut Walked, found: &mut Vec<String>) {
    walked.push((name.to_owned(), keys));
    for key in keys {
        let place = match name {
            "" => key.name.to_owned(),
            name => format!("{name}.{}", key.name),
        };
        shape(&place, key.name, &key.shape, walked, found);
    }
}

fn shape(
    place: &str,
    name: &str,
    shape: &'static Shape,
    walked: &mut Walked,
    found: &mut Vec<String>,
) {
    match shape {
        Shape::Template | Shape::Script | Shape::AnyTemplate => found.push(place.to_owned()),
        Shape::List(inner) | Shape::Map(inner) => self::shape(place, name, inner, walked, found),
        Shape::Either(shapes) => {
            for inner in *shapes {
                self::shape(place, name, inner, walked, found);
            }
        }
        // The keys of `defaults` are those of a task.
        Shape::Object(_) if name == "defaults" => found.push(place.to_owned()),
        Shape::Object(keys) => {
            if walked.iter().all(|(_, known)| !std::ptr::eq(*known, *keys)) {
                walk(name, keys, walked, found);
            }
        }
        Shape::Null
        | Shape::Boolean
        | Shape::Text
        | Shape::Id
        | Shape::Zone
        | Shape::Moment
        | Shape::Duration
        | Shape::Timeout
        | Shape::Size
        | Shape::Schedule
        | Shape::Order
        | Shape::Word(_)
        | Shape::Integer(..)
        | Shape::Number
        | Shape::Any
        | Shape::Param => {}
    }
}

#[test]
fn every_place_of_a_template_is_tried() {
    let (mut walked, mut found) = (Vec::new(), Vec::new());
    walk("", DAG_KEYS, &mut walked, &mut found);
    walk("config", CONFIG_KEYS, &mut walked, &mut found);
    found.sort();
    let mut covered = COVERED.map(|(place, _)| place.to_owned());
    covered.sort();
    assert_eq!(found, covered);
}
