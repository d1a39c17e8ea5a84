//! Rule M-21: how to import what was written.

use idmerge_engines::Model;

use crate::people::electing::People;

impl People {
    /// The text of `IMPORT.md`. `files` are the names of the files of links and events, in the order in
    /// which to send them, and whether there are profiles.
    pub fn instructions(&self, event_files: &[String], has_profiles: bool) -> String {
        let (to, why) = match self.options.target.model() {
            Model::Original => (
                "Original",
                "Its claims join the IDs of each person, and they need the order that they have here.",
            ),
            _ => (
                "Simplified",
                "The first event that has both a device and a user links them for ever, so the links must \
                 arrive before the events.",
            ),
        };
        let events = event_files.join(" ");
        let mut text = format!(
            "# How to import this folder\n\n\
             The files are for a project with the model *{to} ID Merge*. Send them in this order, and wait \
             for each step to end with 200 for all of its requests before the next one begins:\n\n\
             1. `links.ndjson`. {why}\n\
             2. {}\n",
            event_files
                .iter()
                .map(|file| format!("`{file}`"))
                .collect::<Vec<_>>()
                .join(", then ")
        );
        if has_profiles {
            text += "3. `profiles.ndjson`.\n";
        }
        text += &format!(
            "\n`idmerge migrate --to-server https://HOST` does all of this. By hand, with the secret of the \
             project in `IDMERGE_SECRET` and the address of the server in `URL`:\n\n\
             ```sh\n\
             for file in links.ndjson {events}; do\n\
             \x20 split -l 2000 --filter='curl --fail-with-body -sS -u \"$IDMERGE_SECRET:\" -H \"Content-Type: \
             application/x-ndjson\" --data-binary @- \"$URL/import?strict=1\" || kill $PPID' \"$file\" || break\n\
             done\n\
             ```\n"
        );
        if has_profiles {
            text += "\nA line of `profiles.ndjson` needs the token of the new project, in `TOKEN`:\n\n\
                     ```sh\n\
                     sed 's/^{/{\"$token\":\"'\"$TOKEN\"'\",/' profiles.ndjson | split -l 2000 \
                     --filter='jq -s -c . | curl --fail-with-body -sS -H \"Content-Type: application/json\" \
                     --data-binary @- \"$URL/engage?verbose=1\"'\n\
                     ```\n";
        }
        text += "\nBefore that, read `conflicts.ndjson`: each line is a case that a person should decide, \
                 with its evidence and what would settle it. A link cannot be taken back once it is \
                 imported. `refused.ndjson` has the lines that the project would refuse, and why. \
                 `mapping.csv` has which ID each other ID resolves to after the import.\n\n\
                 To migrate more days later, run the command again with all days and the same folder. It \
                 keeps the time of the links, and the links that are there.\n";
        text
    }
}
