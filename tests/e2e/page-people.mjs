// People to look at: those of the design, with lives that are days long. No person in it exists.
import { ANDROID, DEVICES, IPAD, IPHONE, MAC, WINDOWS, anonymous, logged, uuid } from "./page.mjs";

const DAY_H = 24;
const PAGES = ["/", "/coats", "/coats/loden", "/socks/merino", "/sale", "/about"];

/** Of each model, the events of all people, in the order in which they happened, and then their profiles. */
export async function populate(sender, engine) {
  const life = new Life(sender, engine);
  life.mara();
  life.many("tobi@example.com", 15, 24 * DAY_H, 38, 100);
  life.many("qa-robot", 199, 76 * DAY_H, 9, 1_000);
  life.others();
  if (engine === "original") life.noor();
  if (engine === "legacy") life.lea();
  // P-3 and LP-2: a profile that is hidden by what comes later.
  if (engine === "legacy") await sender.profile("lea@example.com", { $name: "Lea (newsletter)", list: "winter", opened: 3 });
  life.events.sort((one, other) => one.properties.time - other.properties.time);
  // A server refuses `$identify` for Simplified unless it comes from a browser.
  const isWanted = ({ event }) => engine !== "simplified" || event !== "$identify";
  await sender.sendAll(life.events.filter(isWanted));
  await profiles(sender, engine);
}

class Life {
  constructor(sender, engine) {
    this.sender = sender;
    this.engine = engine;
    this.events = [];
  }

  add(...events) {
    this.events.push(...events);
  }

  /** Somebody looks around: so many events, a minute apart. */
  visit(hoursAgo, who, device, count) {
    this.sender.hoursAgo(hoursAgo);
    for (let at = 0; at < count; at += 1) {
      this.sender.time += 60_000;
      const page = PAGES[(at + count) % PAGES.length];
      this.add(this.sender.event("Page View", { ...who, ...device, $current_url: `https://shop.example${page}`, page }));
    }
  }

  logIn(hoursAgo, user, id, device) {
    this.sender.hoursAgo(hoursAgo);
    this.add(...this.sender.logIn(user, id, device));
  }

  buy(hoursAgo, who, device, item, amount) {
    this.sender.hoursAgo(hoursAgo);
    this.add(this.sender.event("Purchase", { ...who, ...device, item, amount }));
  }

  /** Three devices, and a log-in on the tablet of somebody else. */
  mara() {
    const user = "mara@example.com";
    const [phone, mac, android, tablet] = [uuid(1), uuid(2), uuid(3), uuid(100)];
    this.visit(22 * DAY_H, anonymous(phone), IPHONE, 9);
    this.visit(21 * DAY_H, anonymous(mac), MAC, 14);
    this.logIn(21 * DAY_H - 0.4, user, mac, MAC);
    this.sender.time += 60_000;
    this.add(this.sender.event("Sign Up", { ...logged(user, mac), ...MAC }));
    this.visit(20.5 * DAY_H, logged(user, mac), MAC, 11);
    this.logIn(19 * DAY_H, user, phone, IPHONE);
    this.visit(18 * DAY_H, logged(user, phone), IPHONE, 12);
    this.visit(16 * DAY_H, logged(user, mac), MAC, 20);
    this.logIn(13 * DAY_H, user, tablet, IPAD);
    this.visit(13 * DAY_H - 0.1, logged(user, tablet), IPAD, 10);
    this.visit(10 * DAY_H, logged(user, mac), MAC, 25);
    this.visit(7 * DAY_H + 0.2, anonymous(android), ANDROID, 3);
    this.logIn(7 * DAY_H, user, android, ANDROID);
    this.visit(5 * DAY_H, logged(user, android), ANDROID, 14);
    this.visit(3 * DAY_H, logged(user, phone), IPHONE, 16);
    this.buy(0.5, logged(user, android), ANDROID, "Merino socks", 23.8);
  }

  /** So many devices, each with a log-in soon after its first event. */
  many(user, count, hoursAgo, apart, from) {
    for (let at = 0; at < count; at += 1) {
      const id = uuid(from + at);
      const device = at === 0 ? IPAD : DEVICES[at % DEVICES.length];
      const hours = hoursAgo - at * apart * (count > 50 ? 1 + 0.2 * Math.sin(at / 8) : 1);
      this.visit(hours, anonymous(id), device, 1 + (at % 7));
      this.logIn(hours - 0.2, user, id, device);
      this.visit(hours - 0.25, logged(user, id), device, 1 + (at % 5));
    }
  }

  others() {
    const names = ["ines", "oona", "pavel", "suri", "wim", "yara", "emre", "lotte"];
    names.forEach((name, at) => {
      const user = `${name}@example.com`;
      const device = DEVICES[at % DEVICES.length];
      this.visit(9 * DAY_H - at, anonymous(uuid(2_000 + at)), device, 3 + at);
      if (name === "yara") return;
      this.logIn(9 * DAY_H - at - 0.4, user, uuid(2_000 + at), device);
      this.sender.time += 60_000;
      this.add(this.sender.event("Sign Up", { ...logged(user, uuid(2_000 + at)), ...device }));
      if (at % 2) this.buy(8 * DAY_H - at, logged(user, uuid(2_000 + at)), device, "Rain cape", 79);
    });
    this.visit(0.2, anonymous(uuid(2_100)), { $browser: "Chrome", $os: "Android", $device: "Android" }, 6);
  }

  /** Two devices, an ID of a job that `$merge` joins, and one that `$create_alias` names. */
  noor() {
    const [mac, edge] = [uuid(3_000), uuid(3_001)];
    const work = "noor@work.example";
    this.visit(19 * DAY_H, anonymous(mac), MAC, 5);
    this.logIn(19 * DAY_H - 0.1, "noor", mac, MAC);
    this.visit(17 * DAY_H, anonymous(edge), WINDOWS, 8);
    this.visit(16.2 * DAY_H, logged(work), WINDOWS, 4);
    this.logIn(16 * DAY_H, work, edge, WINDOWS);
    this.visit(15 * DAY_H, logged(work, edge), WINDOWS, 10);
    this.sender.hoursAgo(9 * DAY_H);
    this.add(this.sender.event("$merge", { $distinct_ids: ["noor", work] }));
    this.visit(8 * DAY_H, logged("noor", mac), MAC, 22);
    this.visit(5 * DAY_H, logged("legacy-883"), MAC, 1);
    this.sender.hoursAgo(5 * DAY_H - 0.1);
    this.add(this.sender.event("$create_alias", { distinct_id: "noor", alias: "legacy-883" }));
    this.visit(DAY_H, logged("noor", edge), WINDOWS, 30);
  }

  /** A laptop with two aliases, one of which was in use before, and a phone that cannot have the same alias. */
  lea() {
    const [mac, phone] = [uuid(5_000), uuid(5_001)];
    const user = "lea@example.com";
    const as = (id) => ({ distinct_id: id, $user_id: id, $device_id: mac });
    const alias = (id, name, device = MAC) => this.sender.event("$create_alias", { distinct_id: id, alias: name, $device_id: id, ...device });
    this.visit(20 * DAY_H, { distinct_id: user }, {}, 2);
    this.visit(19 * DAY_H, { distinct_id: mac, $device_id: mac }, MAC, 7);
    this.sender.hoursAgo(19 * DAY_H - 0.2);
    this.add(alias(mac, user));
    this.visit(17 * DAY_H, as(user), MAC, 12);
    this.visit(12 * DAY_H, { distinct_id: phone, $device_id: phone }, IPHONE, 5);
    this.sender.hoursAgo(12 * DAY_H - 0.2);
    this.add(alias(phone, user, IPHONE));
    this.sender.hoursAgo(9 * DAY_H);
    this.add(alias(mac, "lea@work.example"));
    this.visit(6 * DAY_H, as("lea@work.example"), MAC, 18);
    this.visit(0.4, as(user), MAC, 4);
  }
}

async function profiles(sender, engine) {
  await sender.profile("mara@example.com", {
    $name: "Mara Quill", $email: "mara@example.com", $city: "Ghent", $country_code: "BE", plan: "plus",
    interests: ["coats", "wool", "repair", "second hand"], orders: 2, spent: 79.3,
    address: { street: "Vlasmarkt 0", post: { code: "9000", city: "Ghent" }, confirmed: true },
  });
  await sender.profile("tobi@example.com", { $name: "Tobi Fennick", $email: "tobi@example.com" });
  await sender.profile("qa-robot", { $name: "QA robot" });
  for (const [id, name] of [["ines", "Ines Valdorra"], ["oona", "Oona Brask"], ["suri", "Suri Hallow"], ["wim", "Wim Aster"], ["emre", "Emre Caldwin"], ["lotte", "Lotte Finch"]]) {
    await sender.profile(`${id}@example.com`, { $name: name, $email: `${id}@example.com` });
  }
  if (engine === "legacy") await sender.profile("lea@example.com", { $name: "Lea Moor", $email: "lea@example.com", plan: "plus" });
  if (engine !== "original") return;
  await sender.profile("noor", { $name: "Noor Tamsin", $email: "noor@example.com", plan: "plus" });
  // P-3: a profile that a merge hides. `before` the merge it was shown.
  await sender.profile("noor-desk", { $name: "Noor (desk)", team: "Support", shift: "late" });
  await sender.send("/import", [sender.event("$merge", { $distinct_ids: ["noor", "noor-desk"] })]);
}
