// Comforts only: every page is whole without it.
"use strict";

function offerCopying(block) {
  const text = block.querySelector("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent.trimEnd());
      button.textContent = "Copied";
    } catch {
      // Browsers lend the clipboard to secure origins only: what is selected can be copied by hand.
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  block.append(button);
}

function followLog(log) {
  const near = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 200;
  // Whoever came for a certain line stays there.
  let follows = !location.hash;
  addEventListener("scroll", () => { follows = near(); }, { passive: true });
  const watch = new MutationObserver(() => {
    if (follows) { scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" }); }
  });
  watch.observe(log, { childList: true, subtree: true });
  addEventListener("load", () => {
    watch.disconnect();
    // The stream has ended, and so has the build: its page now has an outcome and, if it failed, a diagnosis.
    // Once for each build, whatever the server says next.
    const once = `farm-ended ${location.pathname}`;
    if (follows && document.getElementById("ended") && !sessionStorage.getItem(once)) {
      sessionStorage.setItem(once, "1");
      location.reload();
    }
  });
}

document.querySelectorAll(".copy").forEach(offerCopying);
const live = document.querySelector(".log[data-live]");
if (live) { followLog(live); }
