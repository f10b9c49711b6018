// Where the page begins: the views are made known, then the frame, then the connection.
import "./queue-view.js";
import "./new-view.js";
import "./job-view.js";
import "./scheduler-view.js";
import "./charts-view.js";
import "./shell.js";
import { board } from "./board.js";
import { live } from "./live.js";

board.start();
live.start();
