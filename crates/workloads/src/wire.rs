//! How events are written: what mixpanel-js 2.82 and server-side senders send.

use crate::actor::World;

/// What a browser says of itself, beside the page. mixpanel-js knows more; a project that keeps
/// its events at 300 bytes strips the rest (`property_blacklist`).
pub(crate) const LOOKS: [&str; 5] = [
    r#""$os":"Windows","$browser":"Chrome","#,
    r#""$os":"iOS","$screen_height":844,"#,
    r#""$browser":"Firefox","#,
    r#""$browser":"Safari","#,
    r#""$browser":"Chrome","#,
];

/// What visitors of the shop do: the event's name and the page.
pub(crate) const PAGES: [(&str, &str); 8] = [
    ("Page View", "/"),
    ("Page View", "/sale"),
    ("Search", "/find"),
    ("Product View", "/p/417"),
    ("Product View", "/p/1093"),
    ("Product View", "/p/86"),
    ("Add to Cart", "/cart"),
    ("Checkout", "/pay"),
];

/// An event under construction. Texts are written as they are: none has anything to escape.
pub(crate) struct EventLine<'l> {
    line: &'l mut Vec<u8>,
}

impl<'l> EventLine<'l> {
    pub(crate) fn begin(line: &'l mut Vec<u8>, name: &str) -> Self {
        let mut this = Self { line };
        this.raw(r#"{"event":""#);
        this.raw(name);
        this.raw(r#"","properties":{"#);
        this
    }

    pub(crate) fn raw(&mut self, json: &str) {
        self.line.extend_from_slice(json.as_bytes());
    }

    /// `key` is the whole of `"key":"`, so that it is written in one piece.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.raw(key);
        self.raw(value);
        self.raw(r#"","#);
    }

    /// 16 characters of base 36, as mixpanel-js makes them.
    pub(crate) fn insert_id(&mut self, world: &mut World) {
        const BASE: u64 = 36;
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        self.raw(r#""$insert_id":""#);
        for _ in 0..2 {
            let mut number = world.rng.below(BASE.pow(8));
            for _ in 0..8 {
                self.line.push(DIGITS[(number % BASE) as usize]);
                number /= BASE;
            }
        }
        self.raw(r#"","#);
    }

    /// Seconds, with the milliseconds behind the point.
    pub(crate) fn time_in_seconds(&mut self, world: &World) {
        self.raw(r#""time":"#);
        self.digits::<10>(world.now_ms() / 1_000);
        self.raw(".");
        self.digits::<3>(world.now_ms() % 1_000);
        self.raw(",");
    }

    /// Milliseconds, as Segment sends them.
    pub(crate) fn time_in_milliseconds(&mut self, world: &World) {
        self.raw(r#""time":"#);
        self.digits::<13>(world.now_ms());
        self.raw(",");
    }

    /// The last `N` decimal digits.
    fn digits<const N: usize>(&mut self, mut number: u64) {
        let mut text = [b'0'; N];
        for digit in text.iter_mut().rev() {
            *digit += (number % 10) as u8;
            number /= 10;
        }
        self.line.extend_from_slice(&text);
    }

    pub(crate) fn end(mut self) {
        self.raw("\"token\":\"shop\"}}\n");
    }
}

/// An event as mixpanel-js sends it.
pub(crate) struct WebEvent<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
    pub(crate) look: &'a str,
    pub(crate) distinct_id: &'a str,
    pub(crate) device_id: &'a str,
    /// Absent while anonymous.
    pub(crate) user_id: Option<&'a str>,
    /// What `distinct_id` was before; on `$identify` alone.
    pub(crate) anon_distinct_id: Option<&'a str>,
}

impl WebEvent<'_> {
    pub(crate) fn write(&self, world: &mut World, line: &mut Vec<u8>) {
        let mut event = EventLine::begin(line, self.name);
        event.raw(self.look);
        event.raw(r#""$current_url":"https://shop.test"#);
        event.raw(self.path);
        event.raw(r#"","mp_lib":"web","$lib_version":"2.82.1","#);
        event.insert_id(world);
        event.time_in_seconds(world);
        event.text(r#""distinct_id":""#, self.distinct_id);
        event.text(r#""$device_id":""#, self.device_id);
        if let Some(user_id) = self.user_id {
            event.text(r#""$user_id":""#, user_id);
        }
        if let Some(anon_distinct_id) = self.anon_distinct_id {
            event.text(r#""$anon_distinct_id":""#, anon_distinct_id);
        }
        event.end();
    }
}
