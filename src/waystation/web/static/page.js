// The scripts that every page runs.
import "./ages.js";
import "./arrivals.js";
import "./copy.js";
import "./dialog.js";
import "./forms.js";
import "./live.js";
import "./strength.js";
