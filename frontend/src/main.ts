import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { auth } from "./lib/auth.svelte";

auth.begin();

mount(App, { target: document.getElementById("app")! });
