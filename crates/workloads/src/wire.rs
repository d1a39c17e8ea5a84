//! Writes events in the form in which mixpanel-js 2.82 and server-side SDKs send them.

use crate::actor::World;

/// The properties of a browser, apart from the page. mixpanel-js sends more; a project that wants
/// events of about 300 bytes removes the rest (`property_blacklist`).
pub(crate) const LOOKS: [&str; 5] = [
    r#""$os":"Windows","$browser":"Chrome","#,
    r#""$os":"iOS","$screen_height":844,"#,
    r#""$browser":"Firefox","#,
    r#""$browser":"Safari","#,
    r#""$browser":"Chrome","#,
];

/// The events of the shop's visitors: the name and the page.
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

/// An event under construction. Texts are not escaped, because none needs it.
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

    /// `key` is `"key":"` with its quotes, so that it is written in one piece.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.raw(key);
        self.raw(value);
        self.raw(r#"","#);
    }

    /// 16 characters in base 36, like those of mixpanel-js.
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

    /// Seconds, with milliseconds as decimals.
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
    /// The previous `distinct_id`; on `$identify` only.
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
