//! Folders, files, versions and names.

use super::{Remove, Replace, Severity::*, Write, check, check_as};

#[test]
fn a_repository_that_is_not_there() {
    let (models, findings) = super::inspect("/nowhere".as_ref(), None);
    assert!(models.is_empty());
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("could not be read"));
}

#[test]
fn a_folder_without_a_configuration() {
    check(
        &[Write("notes/readme.txt", "")],
        &[(Error, "notes", "", &["no config.pbtxt"])],
    );
}

#[test]
fn a_variant_alone_serves_under_its_name() {
    check_as(
        Some("cpu"),
        &[Remove("deep/config.pbtxt"), Remove("primary")],
        &[],
    );
}

#[test]
fn a_configuration_that_is_not_text() {
    check(
        &[Write("odd/config.pbtxt/x", "")],
        &[(Error, "odd/config.pbtxt", "", &["could not be read"])],
    );
}

#[test]
fn a_name_that_is_not_the_folders() {
    check(
        &[Replace(
            "deep/config.pbtxt",
            "name: \"deep\"",
            "name: \"depe\"",
        )],
        &[(Error, "deep/config.pbtxt:1", "name", &["'depe'", "'deep'"])],
    );
}

#[test]
fn no_version() {
    check(
        &[Remove("primary/1")],
        &[(
            Error,
            "primary",
            "",
            &["no version folder", "an ensemble needs one too"],
        )],
    );
    check(
        &[
            Remove("deep/1"),
            Write("deep/01/model.onnx", ""),
            Remove("deep/configs"),
        ],
        &[
            (Error, "deep", "", &["no version folder"]),
            (Warning, "deep/01", "", &["ignores"]),
        ],
    );
}

#[test]
fn a_version_without_its_file() {
    check(
        &[
            Remove("calibrate/2/model.onnx"),
            Write("calibrate/2/model.plan", ""),
        ],
        &[(
            Error,
            "calibrate/config.pbtxt:1",
            "platform",
            &["version 2 lacks the file 'model.onnx'"],
        )],
    );
    // The older version is not served.
    check(&[Remove("calibrate/1/model.onnx")], &[]);
    check(
        &[
            Remove("calibrate/1/model.onnx"),
            Replace(
                "calibrate/config.pbtxt",
                "\n",
                "\nversion_policy { all { } }\n",
            ),
        ],
        &[(
            Error,
            "calibrate/config.pbtxt:1",
            "platform",
            &["version 1"],
        )],
    );
}

#[test]
fn a_named_file_is_an_error_where_chosen_and_else_a_warning() {
    let edits = || {
        [Replace(
            "deep/configs/cpu.pbtxt",
            "backend",
            "default_model_filename: \"model.int8.onnx\" backend",
        )]
    };
    let (at, key) = ("deep/configs/cpu.pbtxt:2", "default_model_filename");
    check(&edits(), &[(Warning, at, key, &["model.int8.onnx"])]);
    check_as(
        Some("cpu"),
        &edits(),
        &[(Error, at, key, &["model.int8.onnx"])],
    );
}

#[test]
fn a_python_model_is_model_py() {
    let edits = [
        Replace(
            "calibrate/config.pbtxt",
            "platform: \"onnxruntime_onnx\"",
            "backend: \"python\"",
        ),
        Remove("calibrate/2/model.onnx"),
        Write("calibrate/2/model.py", ""),
    ];
    check(&edits, &[]);
}

#[test]
fn no_backend() {
    let edit = || {
        Replace(
            "calibrate/config.pbtxt",
            "platform: \"onnxruntime_onnx\"",
            "",
        )
    };
    check(
        &[edit()],
        &[(
            Warning,
            "calibrate/config.pbtxt",
            "backend",
            &["guesses 'onnxruntime'"],
        )],
    );
    check(
        &[
            edit(),
            Remove("calibrate/1"),
            Remove("calibrate/2/model.onnx"),
            Write("calibrate/2/weights.bin", ""),
        ],
        &[(
            Error,
            "calibrate/config.pbtxt",
            "backend",
            &["neither `backend` nor `platform`"],
        )],
    );
}

#[test]
fn a_policy_that_picks_what_is_not_there() {
    let file = "calibrate/config.pbtxt";
    check(
        &[Replace(
            file,
            "\n",
            "\nversion_policy { specific { versions: [ 1, 7 ] } }\n",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:2",
            "version_policy.specific.versions[1]",
            &["version 7", "there is 1, 2"],
        )],
    );
    check(
        &[Replace(file, "\n", "\nversion_policy { specific { } }\n")],
        &[(
            Error,
            "calibrate/config.pbtxt:2",
            "version_policy.specific",
            &["picks no version"],
        )],
    );
    check(
        &[Replace(
            file,
            "\n",
            "\nversion_policy { latest { num_versions: 0 } }\n",
        )],
        &[(
            Error,
            "calibrate/config.pbtxt:2",
            "version_policy.latest",
            &["picks no version"],
        )],
    );
}
