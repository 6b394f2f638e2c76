// A browser starts no worker from a page that was opened as a file. The search is a worker: here its
// script runs in a hidden frame instead, which posts and receives the same messages.
class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.waiting = [];
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    this.target = frame.contentWindow;
    this.target.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    const script = this.target.document.createElement("script");
    script.src = url;
    script.onload = () => {
      const waiting = this.waiting;
      this.waiting = null;
      waiting.forEach((data) => this.postMessage(data));
    };
    this.target.document.head.append(script);
  }
  postMessage(data) {
    if (this.waiting) this.waiting.push(data);
    else this.target.dispatchEvent(new MessageEvent("message", { data }));
  }
}
if (location.protocol === "file:") window.Worker = FrameWorker;
