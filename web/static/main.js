// The entry of the page: defines the views and the frame, then connects.
import { live } from "./events/live-events.js";
import { schedulerState } from "./scheduler/scheduler-state.js";
import "./views/app-shell.js";

schedulerState.start();
live.start();
