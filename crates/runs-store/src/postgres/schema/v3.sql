-- The dead letters of one handler, however many others have.
CREATE INDEX dead_letters_of_handler ON dead_letters (handler, at);
