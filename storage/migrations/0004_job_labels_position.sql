-- PATCH takes the labels of one Job away; without this it walked those of all.
CREATE INDEX job_labels_position ON job_labels (position);
