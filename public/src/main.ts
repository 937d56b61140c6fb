import "./styles/base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { session } from "./stores/session.svelte";

// After a new version was deployed, a page of the old one is gone: load the new version instead.
addEventListener("vite:preloadError", () => location.reload());

void session.start();
const target = document.getElementById("app");
if (target) mount(App, { target });
