local state = obj.spec.state or "Active"
local run = obj.status ~= nil and obj.status.run or nil

local over = run ~= nil and (run.phase == "Completed" or run.phase == "Aborted")
local finished = over and obj.spec.schedule == nil and (run.token or "") == (obj.spec.runToken or "")

local actions = {}
actions["suspend"] = {["disabled"] = state ~= "Active" or finished}
actions["resume"] = {["disabled"] = state ~= "Suspended"}
actions["abort"] = {["disabled"] = state == "Aborted" or finished}
actions["rerun"] = {["disabled"] = not over or state == "Suspended" or obj.spec.mode == "DryRun"}
return actions
