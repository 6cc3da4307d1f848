obj.spec.state = "Aborted"
return obj
