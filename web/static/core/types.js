// The resources of headway/model as this page reads them, for the type checker. The browser never loads this
// file. tests/page/test_page.py compares the properties with those of the models.

/** @typedef {"QUEUED" | "RUNNING" | "COMPLETED" | "FAILED" | "SKIPPED" | "CANCELLED"} JobStatus */
/** @typedef {string} Time A moment as ISO 8601 with its zone. */
/** @typedef {{[name: string]: any}} Params */

/**
 * @typedef {object} Progress
 * @property {number | null} fraction
 * @property {string | null} message
 */

/**
 * @typedef {object} Job
 * @property {string} job_id
 * @property {string} type
 * @property {JobStatus} status
 * @property {Params} params
 * @property {number} priority
 * @property {number} position
 * @property {string | null} name
 * @property {{[name: string]: string}} labels
 * @property {Time | null} run_at
 * @property {Time | null} expires_at
 * @property {number | null} timeout_s
 * @property {string | null} retry_of
 * @property {string} origin
 * @property {Time} created_at
 * @property {Time | null} started_at
 * @property {Time | null} finished_at
 * @property {number | null} duration_s
 * @property {Progress | null} progress
 * @property {string | null} reason
 * @property {number} version
 */

/**
 * @typedef {object} JobPage
 * @property {Job[]} jobs
 * @property {string | null} next_cursor
 * @property {{[status in JobStatus]: number}} counts
 */

/**
 * @typedef {object} Artifact
 * @property {string} name
 * @property {number} size_bytes
 * @property {string | null} sha256
 * @property {boolean} kept
 */

/**
 * @typedef {object} Collection
 * @property {boolean} complete
 * @property {string | null} reason
 */

/**
 * @typedef {object} RunError
 * @property {string} code
 * @property {string} message
 */

/**
 * @typedef {object} LogSummary
 * @property {number} bytes
 * @property {boolean} truncated
 */

/**
 * @typedef {object} Left
 * @property {number} processes
 * @property {number} killed
 */

/**
 * @typedef {object} JobRun
 * @property {string} run_id
 * @property {string | null} job_id
 * @property {string} type
 * @property {Exclude<JobStatus, "QUEUED">} status
 * @property {string[]} argv
 * @property {number | null} pid
 * @property {Time} started_at
 * @property {Time | null} finished_at
 * @property {number | null} duration_s
 * @property {number | null} exit_code
 * @property {number | null} signal
 * @property {RunError | null} error
 * @property {any} result
 * @property {Artifact[]} artifacts
 * @property {Collection} collection
 * @property {LogSummary} log
 * @property {Left} left
 */

/**
 * @typedef {object} RunList
 * @property {JobRun[]} runs
 */

/** @typedef {JobRun & {log_tail: string}} DirectRun */

/**
 * @typedef {object} LogTime
 * @property {number} offset
 * @property {Time} at
 */

/**
 * @typedef {object} LogTimeList
 * @property {LogTime[]} times
 */

/**
 * @typedef {object} JobTypeView
 * @property {string} name
 * @property {string} description
 * @property {Schema} params_schema
 * @property {number} timeout_s
 */

/**
 * @typedef {object} JobTypeList
 * @property {JobTypeView[]} job_types
 */

/**
 * @typedef {object} Preview
 * @property {string[]} argv
 * @property {any} stdin
 */

/**
 * @typedef {object} CumulativeStats
 * @property {number} total_executed
 * @property {number} succeeded
 * @property {number} failed
 * @property {number} cancelled
 * @property {number} skipped
 */

/**
 * @typedef {object} HostCondition
 * @property {string} reason
 * @property {Time} since
 */

/**
 * @typedef {object} SchedulerStatus
 * @property {boolean} scheduler_running
 * @property {string[]} running_job_ids
 * @property {number} queue_length
 * @property {number} deferred
 * @property {{[type: string]: number}} unconfigured
 * @property {CumulativeStats} cumulative_stats
 * @property {HostCondition | null} host_condition
 */

/**
 * @typedef {object} SchedulerConfig
 * @property {number} concurrency
 * @property {{[type: string]: number | null}} types
 * @property {string[]} overridden
 */

/**
 * @typedef {object} Ready
 * @property {string[]} warnings
 */

/**
 * @typedef {object} Reason
 * @property {string} code
 * @property {string} message
 * @property {number | null} count
 * @property {Time | null} until
 */

/**
 * @typedef {object} Estimate
 * @property {Time} start_at
 * @property {Time} earliest
 * @property {Time} latest
 */

/**
 * @typedef {object} Ending
 * @property {Time} end_at
 */

/**
 * @typedef {object} Explanation
 * @property {JobStatus} status
 * @property {Reason[]} waiting
 * @property {Estimate | null} estimate
 * @property {Ending | null} ending
 */

/**
 * @typedef {object} Reservation
 * @property {string} reservation_id
 * @property {"direct" | "hold"} kind
 * @property {"WAITING" | "HELD" | "ENDED"} state
 * @property {Time} created_at
 * @property {Time | null} expires_at
 */

/**
 * @typedef {object} ReservationList
 * @property {Reservation[]} reservations
 */

/**
 * @typedef {object} Percentiles
 * @property {number} p50
 * @property {number} p95
 * @property {number} p99
 */

/**
 * @typedef {object} HistoryPoint
 * @property {Time} at
 * @property {number} queue_length
 * @property {number} completed
 * @property {number} failed
 * @property {number} skipped
 * @property {number} cancelled
 * @property {Percentiles | null} wait_s
 * @property {Percentiles | null} run_s
 */

/**
 * @typedef {object} History
 * @property {number} step_s
 * @property {HistoryPoint[]} points
 */

/**
 * @typedef {object} ProblemFault One thing that is wrong: a JSON Pointer to it, and what to do.
 * @property {string} pointer
 * @property {string} message
 */

// ---- what is no model ----------------------------------------------------------------------------

/**
 * @typedef {object} LogPiece One event of a log that is followed.
 * @property {string} text
 * @property {number} offset
 * @property {Time} at
 */

/**
 * One event of /events; what `data` holds depends on `kind`.
 * @typedef {{kind: string, at: Time, job_id: string | null, run_id: string | null, data: Params}} ServerEvent
 */

/**
 * The part of JSON Schema that becomes a form. Other keywords are left to the server.
 * @typedef {object} Schema
 * @property {string | string[]} [type]
 * @property {string} [title]
 * @property {string} [description]
 * @property {any} [default]
 * @property {any[]} [enum]
 * @property {string} [format]
 * @property {string} [pattern]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [exclusiveMaximum]
 * @property {number} [multipleOf]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {Schema} [items]
 * @property {string[]} [required]
 * @property {{[name: string]: Schema}} [properties]
 */

/**
 * The filter of a list of Jobs, as in the query of GET /jobs.
 * @typedef {{status: string[], type: string[], label: string[], q: string, order: "asc" | "desc"}} JobFilter
 */

/** @typedef {{name: string, message: string}} FieldFault What is wrong with one field of a form. */

export {};
