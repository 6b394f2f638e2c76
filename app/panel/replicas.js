// The replicas that have answered this page: who, how each was then, and when that was.
// Nothing here touches the page. Times are seconds on one steady clock, given by the caller.

export const SILENT_AFTER = 10; // a replica that has not answered for so long is shown faded
export const DROP_AFTER = 90; // and then leaves the list
export const MOST = 12; // the list's bound: who has been silent longest goes first
export const COLOURS = 8;
export const ANSWERS = 48; // how many questions are remembered
export const SECONDS = 59; // the server tells the requests of as many whole seconds

export class Replicas {
  constructor() {
    this.byHost = new Map();
    this.answers = []; // for each question the host that answered, or null for nobody
  }

  // Take a replica's answer; the entry of that replica.
  answered(state, now) {
    const known = this.byHost.get(state.hostname);
    const entry = known ?? { host: state.hostname, colour: this.freeColour(), restarts: 0, restartedAt: -Infinity };
    const same = known?.state.instance === state.instance;
    if (known && !same) {
      entry.restarts += 1;
      entry.restartedAt = now;
    }
    const passed = same ? state.uptime_seconds - known.state.uptime_seconds : 0;
    if (!same) entry.cores = null;
    if (passed >= 0.3) entry.cores = Math.max(0, (state.cpu_seconds - known.state.cpu_seconds) / passed);
    entry.state = state;
    entry.at = now;
    this.byHost.set(entry.host, entry);
    this.remember(entry.host);
    return entry;
  }

  nobody() {
    this.remember(null);
  }

  // What an action's answer tells; only of a replica that is known.
  told(host, flags) {
    const entry = this.byHost.get(host);
    if (entry) entry.state = { ...entry.state, ...flags };
  }

  // Let go of whom nobody has seen for long; the rest, in the order in which they came.
  list(now) {
    const bySeen = [...this.byHost.values()].sort((one, other) => other.at - one.at);
    bySeen.forEach((entry, place) => {
      if (place >= MOST || now - entry.at > DROP_AFTER) this.byHost.delete(entry.host);
    });
    return [...this.byHost.values()];
  }

  silent(entry, now) {
    return now - entry.at > SILENT_AFTER;
  }

  // Requests per second of all replicas together, the oldest first. What a replica has not told
  // yet, since it was not asked in the last seconds, is taken to be as its last known second.
  total(now) {
    const sum = new Array(SECONDS).fill(0);
    for (const entry of this.byHost.values()) {
      const series = entry.state.requests;
      const shift = Math.floor(now - entry.at);
      const last = this.silent(entry, now) ? 0 : (series.at(-1) ?? 0);
      for (let place = 0; place < SECONDS; place += 1) sum[place] += series[place + shift] ?? last;
    }
    return sum;
  }

  remember(host) {
    this.answers.push(host);
    if (this.answers.length > ANSWERS) this.answers.shift();
  }

  freeColour() {
    const taken = new Set([...this.byHost.values()].map((entry) => entry.colour));
    for (let colour = 0; colour < COLOURS; colour += 1) if (!taken.has(colour)) return colour;
    return this.byHost.size % COLOURS;
  }
}
