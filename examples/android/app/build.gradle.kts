// SPDX-FileCopyrightText: 2026 The detops authors
// SPDX-License-Identifier: Apache-2.0

import java.util.zip.ZipFile
import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "detops.example"
    compileSdk = 36

    defaultConfig {
        applicationId = "detops.example"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
        externalNativeBuild {
            cmake {
                arguments += "-DANDROID_STL=c++_static"
                // Gradle would build every shared library that CMake knows, detops' own too.
                targets += "detops_jni"
            }
        }
    }

    externalNativeBuild { cmake { path = file("src/main/cpp/CMakeLists.txt") } }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_17 } }

/** Takes the model from the Python package, and the labels that are packed in it. */
abstract class CopyModel : DefaultTask() {
    @get:InputFile abstract val model: RegularFileProperty

    @get:OutputDirectory abstract val assets: DirectoryProperty

    @TaskAction
    fun copy() {
        val from = model.get().asFile
        val to = assets.get().asFile
        from.copyTo(to.resolve(from.name), overwrite = true)
        ZipFile(from).use { packed ->
            val labels = packed.getInputStream(packed.getEntry("labelmap.txt")).readBytes()
            to.resolve("labels.txt").writeBytes(labels)
        }
    }
}

val copyModel =
    tasks.register<CopyModel>("copyModel") {
        model = layout.projectDirectory.file("../../../src/python/detops/models/pet_faces.tflite")
    }

androidComponents {
    onVariants { it.sources.assets?.addGeneratedSourceDirectory(copyModel, CopyModel::assets) }
}

dependencies {
    implementation("androidx.activity:activity-ktx:1.10.1")
    implementation("androidx.camera:camera-camera2:1.5.1")
    implementation("androidx.camera:camera-lifecycle:1.5.1")
    implementation("androidx.camera:camera-view:1.5.1")
    implementation("androidx.core:core-ktx:1.16.0")
    implementation("com.google.ai.edge.litert:litert:1.4.2")
}
