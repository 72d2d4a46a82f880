from monitoring.interrupts import end_in_one_line

end_in_one_line()
