import "./styles/base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { session } from "./stores/session.svelte";

// After a new version was deployed, a page of the old one is gone: load the new version instead.
addEventListener("vite:preloadError", () => {
  // Not when the connection broke: a reload would then leave nothing but the browser's own error.
  void fetch("/version", { cache: "no-store" }).then(
    (answer) => answer.ok && location.reload(),
    () => undefined,
  );
});

void session.start();
const target = document.getElementById("app");
if (target) mount(App, { target });
