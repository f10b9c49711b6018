// Where the page begins: the views are made known, then the frame, then the connection.
import "./views/queue-view.js";
import "./views/new-job-view.js";
import "./views/job-view.js";
import "./views/scheduler-view.js";
import "./views/charts-view.js";
import "./views/app-shell.js";
import { board } from "./scheduler/scheduler-state.js";
import { live } from "./events/live-events.js";

board.start();
live.start();
