// The entry of the page: defines the views and the frame, then connects.
import "./views/app-shell.js";
import { live } from "./events/live-events.js";
import { schedulerState } from "./scheduler/scheduler-state.js";

schedulerState.start();
live.start();
