-- The operator changes nothing until the app is unpaused.
obj.spec.paused = true
return obj
