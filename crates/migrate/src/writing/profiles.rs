//! Rule M-16: profiles of users.

use std::io;

use idmerge_engines::Model;

use crate::options::Place;
use crate::people::electing::People;
use crate::people::evidence::Kind;
use crate::people::ids::Mark;
use crate::reading::bare_id;
use crate::reading::profile::Profile;
use crate::writing::json::{push_device, push_id, push_key};

/// What became of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileLine {
    /// It was appended to the output.
    Written,
    /// The user has a profile already; the case is reported.
    Conflict,
    /// The line is not a profile, or its ID is not valid.
    Refused,
}

impl People {
    /// Appends a profile as a line to `out`, under the person that it belongs to. All lines must have been
    /// given to [`Gathering::add_profile`](crate::Gathering::add_profile) before.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be written.
    pub fn write_profile(
        &mut self,
        line: &str,
        place: Place,
        out: &mut Vec<u8>,
    ) -> io::Result<ProfileLine> {
        let Some(profile) = Profile::read(line) else {
            return Ok(ProfileLine::Refused);
        };
        let id = bare_id(self.options.source.id_rules(), &profile.distinct_id);
        let Some(number) = id.ok().and_then(|id| self.ids.number(id)) else {
            return Ok(ProfileLine::Refused);
        };
        let is_original = self.options.target.model() == Model::Original;
        let person = match is_original {
            true => number,
            false => self.ids.person(number),
        };
        if person != number && !self.ids.mark(person, Mark::HasProfile) {
            self.log
                .add(Kind::Profile, [number, person], place, "", "")?;
            return Ok(ProfileLine::Conflict);
        }
        out.push(b'{');
        match is_original || self.ids.is_user(person) {
            true => push_id("$distinct_id", self.ids.id(person), out),
            false => push_device("$distinct_id", self.ids.id(person), out),
        }
        out.extend_from_slice(b",\"$ignore_time\":true,\"$ip\":\"0\"");
        push_key("$set", out);
        out.extend_from_slice(profile.properties.as_str().as_bytes());
        out.extend_from_slice(b"}\n");
        Ok(ProfileLine::Written)
    }
}
